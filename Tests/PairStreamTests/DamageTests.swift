import Platform
import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

import PairSampling
import PairStream

/// What other processes, and the disk, do to files while they are streamed from.
@Suite(.temporaryDirectories) struct StreamDamageTests {
  private func shard(of fixture: StreamFixture) throws -> String {
    fixture.corpus.absolute(try #require(try fixture.corpus.shardFiles().first))
  }

  /// Takes batches until one fails, through at most so many.
  private func failure(of stream: PairStream, within batches: Int = 200) throws -> CorpusError? {
    do {
      for _ in 0..<batches { _ = try stream.next() }
      return nil
    } catch {
      return error
    }
  }

  /// The process would end by SIGBUS.
  @Test(arguments: Codec.allCases, [0, 5_000])
  func `a shard that is shortened under a stream is an error, until it is whole again`(
    codec: Codec, length: Int
  ) throws {
    let fixture = try StreamFixture(runs: 0..<10, checkpoints: 60, codec: codec)
    let path = try shard(of: fixture)
    let whole = try fixture.stream().restOfEpoch()
    let bytes = try Data(contentsOf: URL(filePath: path))
    let stream = try fixture.stream { $0.prefetch = 1 }
    #expect(try stream.next().pairs == Array(whole[..<8]))
    #expect(truncate(path, length) == 0)
    let error = try failure(of: stream)
    #expect(error?.code == .damagedShard && "\(error, default: "none")".contains("shards/"))
    // As `cp` does, into the same file.
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    try file.write(contentsOf: bytes)
    try file.close()
    #expect(try fixture.stream().restOfEpoch() == whole)
  }

  /// What is behind the end of a file in its last page is zeros, and no fault.
  @Test(arguments: Codec.allCases)
  func `a shard that is cut within a page gives no zeros`(codec: Codec) throws {
    let fixture = try StreamFixture(runs: 0..<10, checkpoints: 60, codec: codec)
    let path = try shard(of: fixture)
    let whole = try fixture.stream { $0.itemsPerEpoch = 800 }.restOfEpoch()
    let stream = try fixture.stream { ($0.itemsPerEpoch, $0.prefetch, $0.workers) = (800, 1, 1) }
    // Everything is read once, and so proven.
    #expect(try stream.restOfEpoch() == whole)
    let run = try ShardReader(opening: path).runs[7]
    let end = try #require(run.chunks.last.map { Int($0.offset) + $0.bytes })
    #expect(truncate(path, (end - 1) / 4096 * 4096 + 1) == 0)
    try stream.seek(PairStream.Position(epoch: 0, batch: 0))
    var pairs: [Pair] = []
    let error = #expect(throws: CorpusError.self) { while true { pairs += try stream.next().pairs } }
    #expect(error?.code == .damagedShard)
    #expect(pairs.count < whole.count && pairs == Array(whole.prefix(pairs.count)))
  }

  @Test(arguments: Codec.allCases)
  func `a shard that is removed under a stream stays until its end`(codec: Codec) throws {
    let fixture = try StreamFixture(codec: codec)
    let whole = try fixture.stream().restOfEpoch()
    let stream = try fixture.stream { $0.prefetch = 1 }
    _ = try stream.next()
    try FileManager.default.removeItem(atPath: shard(of: fixture))
    try stream.seek(PairStream.Position(epoch: 0, batch: 0))
    #expect(try stream.restOfEpoch() == whole)
  }

  /// The options of a stream with a cache on disk, and the file of that.
  private func cached(_ fixture: StreamFixture) throws -> (
    options: (inout PairStreamOptions) -> Void, file: String
  ) {
    let path = fixture.folder.path + "/cache"
    let options = { (options: inout PairStreamOptions) in
      (options.cache, options.itemsPerEpoch) = (.disk(path: path, bytes: 1 << 30), 400)
    }
    let stream = try fixture.stream(options)
    _ = try stream.restOfEpoch()
    return (options, path + "/" + (try #require(try Files.names(in: path).first)))
  }

  @Test func `a rotten cache gives what the corpus does`() throws {
    let fixture = try StreamFixture()
    let whole = try fixture.stream { $0.itemsPerEpoch = 400 }.restOfEpoch()
    let (options, file) = try cached(fixture)
    var bytes = try Data(contentsOf: URL(filePath: file))
    // One bit of each 700 bytes: of flags, vectors and checksums.
    for offset in stride(from: 9, to: bytes.count, by: 700) { bytes[offset] ^= 1 << UInt8(offset % 8) }
    try bytes.write(to: URL(filePath: file))
    let stream = try fixture.stream(options)
    #expect(try stream.restOfEpoch() == whole)
    #expect(stream.statistics.cached < stream.statistics.items)
    // It heals.
    let later = try fixture.stream {
      options(&$0)
      // Another worker would not wait for a run that is being taken up.
      $0.workers = 1
    }
    #expect(try later.restOfEpoch() == whole && later.restOfEpoch().count == 400)
    #expect(later.statistics.cached == later.statistics.items)
  }

  @Test(arguments: ["CCRUNS01", "CCRUNS02"])
  func `a cache of another version is begun anew`(magic: String) throws {
    let fixture = try StreamFixture(runs: 0..<10, checkpoints: 60)
    let whole = try fixture.stream { $0.itemsPerEpoch = 400 }.restOfEpoch()
    let (options, file) = try cached(fixture)
    var bytes = try Data(contentsOf: URL(filePath: file))
    // The first two vectors of each run change places with their checksums, which this version would believe.
    for start in stride(from: 4096, to: bytes.count, by: 8192) {
      for (first, length) in [(start, 128), (start + 7680, 8)] {
        let second = first + length
        let moved = bytes[first..<second]
        bytes[first..<second] = bytes[second..<(second + length)]
        bytes[second..<(second + length)] = moved
      }
    }
    bytes.replaceSubrange(0..<8, with: Data(magic.utf8))
    try bytes.write(to: URL(filePath: file))
    #expect(try (fixture.stream(options).restOfEpoch() == whole) == (magic == "CCRUNS01"))
  }

  @Test func `a cache that is shortened under a stream gives what the corpus does`() throws {
    let fixture = try StreamFixture()
    let whole = try fixture.stream { $0.itemsPerEpoch = 400 }.restOfEpoch()
    let (options, file) = try cached(fixture)
    let stream = try fixture.stream {
      options(&$0)
      $0.prefetch = 1
    }
    #expect(try stream.next().pairs == Array(whole[..<8]))
    #expect(truncate(file, 0) == 0)
    #expect(try stream.restOfEpoch() == Array(whole[8...]))
  }

  @Test func `a cache that is cut within a page gives what the corpus does`() throws {
    let fixture = try StreamFixture(runs: 0..<10, checkpoints: 60)
    let whole = try fixture.stream { $0.itemsPerEpoch = 400 }.restOfEpoch()
    let (options, file) = try cached(fixture)
    let stream = try fixture.stream {
      options(&$0)
      ($0.prefetch, $0.workers) = (1, 1)
    }
    #expect(try stream.restOfEpoch() == whole)
    // A run has 7,680 bytes of parameters and 480 of checksums, and begins with a page.
    #expect(truncate(file, Int(try Files.size(file)) - 4095) == 0)
    try stream.seek(PairStream.Position(epoch: 0, batch: 0))
    #expect(try stream.restOfEpoch() == whole)
  }

  /// Changes what the index says of run 6.
  private func setInIndex(_ change: String, of fixture: StreamFixture) throws {
    let tool = Process()
    tool.executableURL = URL(filePath: "/usr/bin/sqlite3")
    tool.arguments = [fixture.corpus.indexPath, "UPDATE runs SET \(change) WHERE run = 6"]
    try tool.run()
    tool.waitUntilExit()
    #expect(tool.terminationStatus == 0)
  }

  /// What the index says of a run decides what is drawn from it, and by what it is scaled.
  @Test(arguments: ["checkpoints = 60", "checkpoints = 5", "sum_of_squares = 4 * sum_of_squares", "sum = 1"])
  func `an index that says something else of a run is found out`(change: String) throws {
    let fixture = try StreamFixture()
    try setInIndex(change, of: fixture)
    let error = try failure(of: fixture.stream(), within: 10)
    #expect(error?.code == .indexStale && "\(error, default: "none")".contains("run 6"))
  }

  /// As a damaged page of the index hides them.
  @Test func `an index without the shards that its runs lie in is found out`() throws {
    let fixture = try StreamFixture()
    try setInIndex("shard = 99", of: fixture)
    let error = #expect(throws: CorpusError.self) { try fixture.stream() }
    #expect(error?.code == .indexCorrupt)
  }
}
