import Corpus
import Foundation
import Glibc
import Platform
import ShardStore

/// Where the runs of blocks lie until their block is sealed: a corpus on a disk of this machine, for one recipe.
///
/// The jobs of one machine may share it, as their runs are equal to the bit. What a job leaves there when it ends early
/// the next one uses.
struct ScratchCorpus: Sendable {
  private let directory: CorpusDirectory
  private let codec: Codec

  var path: String { directory.path }

  /// - Parameter parent: made where it is missing.
  init(of corpus: CorpusDirectory, codec: Codec, in parent: String) throws(CorpusError) {
    var hash = try SHA256()
    hash.update(Array(try CanonicalJSON.data(corpus.manifest, pretty: false)))
    let name = hash.finish().prefix(8).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      .joined()
    let path = "\(parent)/checkpoint-corpus-\(name)"
    guard Files.absolute(path) != Files.absolute(corpus.path) else {
      throw CorpusError(
        .alreadyExists, "\(path) is the corpus itself", remedy: "choose another --scratch directory")
    }
    var directory = try CorpusDirectory(openingOrCreating: path, manifest: corpus.manifest)
    // Nobody on another machine sees it, and jobs of this one write equal files.
    directory.isAlone = true
    for folder in [directory.runsPath, directory.shardsPath] {
      try TemporaryFile.removeLeftovers(in: folder) { _ in true }
    }
    self.directory = directory
    self.codec = codec
  }

  func header(checkpoints: Int) -> ShardHeader {
    ShardHeader(manifest: directory.manifest, codec: codec, checkpoints: checkpoints)
  }

  private func path(_ seed: Int64) -> String { directory.absolute(directory.runFile(seed: seed)) }

  /// Whether a run lies here whole, from a job that ended early; what is damaged or of another codec goes.
  func holds(_ seed: Int64) throws(CorpusError) -> Bool {
    guard Files.exists(path(seed)) else { return false }
    do throws(CorpusError) {
      let shard = try ShardReader(opening: directory.runFile(seed: seed), of: directory)
      var decoder = try RunDecoder(header: shard.header)
      _ = try decoder.run(at: 0, in: shard)
      if shard.header.codec == codec { return true }
    } catch  where error.code != .interrupted {
    }
    unlink(path(seed))
    return false
  }

  func store(_ run: EncodedRun, header: ShardHeader) throws(CorpusError) {
    var writer = try ShardWriter(
      path: path(run.seed), header: header, counts: [run.count], bytes: run.compressedBytes)
    try writer.append(run)
    try writer.finish()
  }

  func contentHash(of seed: Int64) throws(CorpusError) -> ContentHash {
    try ShardReader(opening: directory.runFile(seed: seed), of: directory).runs[0].contentHash
  }

  /// Seals runs here, copies the shard to a corpus, proves the copy, gives it its name there, and removes what lies here.
  ///
  /// - Parameter seeds: ascending.
  /// - Returns: whether it was ours that got the name: false where somebody had sealed the same runs before.
  func publish(_ seeds: [Int64], to corpus: CorpusDirectory) throws(CorpusError) -> Bool {
    guard let first = seeds.first, let last = seeds.last else { return false }
    let file = corpus.sealedFile(first: first, last: last)
    let target = corpus.absolute(file)
    // Its own name for each job: the jobs of a machine may come to seal the same block.
    let sealed = TemporaryFile.path(for: directory.absolute(file))
    defer { unlink(sealed) }
    var isOurs = false
    do throws(CorpusError) {
      if !Files.exists(target) { isOurs = try copy(sealed, seal(seeds, as: sealed), to: target) }
    } catch {
      // Who was faster on this machine has removed the runs of the block.
      guard Files.exists(target) else { throw error }
    }
    for seed in seeds { unlink(path(seed)) }
    return isOurs
  }

  private func seal(_ seeds: [Int64], as path: String) throws(CorpusError) -> [ContentHash] {
    func shard(_ seed: Int64) throws(CorpusError) -> ShardReader {
      try ShardReader(opening: directory.runFile(seed: seed), of: directory)
    }
    var headers: [ShardHeader] = []
    var runs: [StoredRun] = []
    for seed in seeds {
      let shard = try shard(seed)
      if headers.isEmpty { headers.append(shard.header) }
      runs.append(shard.runs[0])
    }
    var writer = try ShardWriter(
      path: path, header: headers[0], counts: runs.map(\.count),
      bytes: runs.reduce(0) { $0 + $1.chunks.reduce(0) { $0 + $1.bytes } })
    for seed in seeds { try writer.append(shard(seed).encodedRun(at: 0)) }
    try writer.finish()
    return runs.map(\.contentHash)
  }

  private func copy(_ sealed: String, _ hashes: [ContentHash], to target: String) throws(CorpusError) -> Bool
  {
    let source = try ShardReader(opening: sealed)
    try TemporaryFile.removeLeftovers(of: target)
    let temporary = TemporaryFile.path(for: target)
    do throws(CorpusError) {
      try Files.copy(sealed, to: temporary)
      try ShardProof(header: source.header, hashes: hashes, workers: 1).require(temporary, as: target)
      try Files.publish(temporary, as: target, replacing: false)
      return true
    } catch {
      unlink(temporary)
      if error.code == .alreadyExists { return false }
      throw error
    }
  }
}
