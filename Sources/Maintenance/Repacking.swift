public import Platform
public import ShardStore
public import Corpus
import Synchronization

/// Stores the shards of a corpus in another codec, each under the name that it had; no value changes.
public struct Repacking {
  /// What a repacking did.
  public struct Report: Sendable {
    /// The files that were rewritten.
    public var files: [String] = []
    /// Shards that were left as they are, as they are damaged or foreign.
    public var problems: [CorpusError] = []
  }

  private let directory: CorpusDirectory
  private let codec: Codec
  private let workers: Int

  /// - Parameter workers: how many runs are decoded and encoded, and of a new shard proven, at a time.
  public init(directory: CorpusDirectory, codec: Codec, workers: Int = Workers.available) {
    self.directory = directory
    self.codec = codec
    self.workers = workers
  }

  /// Rewrites every shard that is in another codec, or lacks checksums; the rest, as after an interruption, is left as it is. In the
  /// end corpus.json says that new shards are stored in that codec.
  ///
  /// - Parameters:
  ///   - progress: called after each run with the number of runs rewritten and the shard's file.
  ///   - indexing: called with each file that was rewritten.
  public func run(
    cancellation: Cancellation = Cancellation(), progress: (Int, String) -> Void = { _, _ in },
    indexing: (String) throws(CorpusError) -> Void
  ) throws(CorpusError) -> Report {
    let locks = try RunLocks.lockingCompaction(directory)
    defer { locks.unlock(RunLocks.compaction) }
    var report = Report()
    var runs = 0
    for file in try directory.shardFiles() {
      do throws(CorpusError) {
        let shard = try ShardReader(opening: directory.absolute(file))
        try shard.header.requireMember(of: directory.manifest, path: shard.path)
        if shard.header.codec == codec, shard.hasChecksums { continue }
        try rewrite(shard) { () throws(CorpusError) in
          runs += 1
          progress(runs, file)
          try cancellation.check()
        }
      } catch  where [.damagedShard, .foreignShard, .unsupportedVersion].contains(error.code) {
        report.problems.append(error)
        continue
      }
      report.files.append(file)
      try indexing(file)
    }
    _ = try directory.replacing(codec: codec)
    return report
  }

  private func rewrite(_ shard: ShardReader, each: () throws(CorpusError) -> Void) throws(CorpusError) {
    let checkpoints = shard.runs.map(\.count).max() ?? 1
    let header = shard.header.replacing(codec: codec, checkpoints: checkpoints)
    // Neither codec ever takes much more than the values themselves.
    let raw = shard.runs.reduce(0) {
      $0 + 4 * header.parameterCount * header.rowCount(checkpoints: $1.count)
    }
    var writer = try ShardWriter(
      path: shard.path, header: header, counts: shard.runs.map(\.count), bytes: raw)
    // So many that the workers seldom wait for the slowest of them, and that memory holds them.
    let batch = 4 * workers
    for start in stride(from: 0, to: shard.runs.count, by: batch) {
      for run in try encode(start..<min(start + batch, shard.runs.count), of: shard, header) {
        try writer.append(run)
        try each()
      }
    }
    try writer.finish(provers: workers)
  }

  /// Some runs of a shard, encoded for another one, in their order.
  private func encode(
    _ indices: Range<Int>, of shard: ShardReader, _ header: ShardHeader
  ) throws(CorpusError) -> [EncodedRun] {
    let encoded = Mutex<[(index: Int, run: EncodedRun)]>([])
    try parallelForEach(
      Array(indices), workers: workers,
      state: { () throws(CorpusError) in
        Recoder(decoder: try RunDecoder(header: shard.header), encoder: try RunEncoder(header: header))
      }
    ) { (index, recoder) throws(CorpusError) in
      let run = try recoder.encoder.encode(recoder.decoder.run(at: index, in: shard))
      encoded.withLock { $0.append((index, run)) }
    }
    return encoded.withLock { $0.sorted { $0.index < $1.index }.map(\.run) }
  }
}

/// What a thread needs to bring runs from one codec into another.
private struct Recoder: ~Copyable {
  var decoder: RunDecoder
  var encoder: RunEncoder
}
