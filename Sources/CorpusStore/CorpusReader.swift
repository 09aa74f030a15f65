public import MetricIndex
public import Corpus
public import ShardStore
import Synchronization

/// Reads runs by their names, wherever in the corpus they lie, and goes on doing so while it is compacted. Any
/// number of threads may read at once.
public final class CorpusReader: Sendable {
  /// What the index says of a run.
  public struct RunInfo: Sendable {
    public let run: Int64
    /// The number of its checkpoints.
    public let checkpoints: Int
    public let status: RunStatus
    /// `train` or `test`.
    public let split: String
  }

  public let index: IndexReader
  public var directory: CorpusDirectory { index.directory }
  private let shards = Mutex(RecentShards())

  public init(_ index: IndexReader) { self.index = index }

  /// The numbers of runs and of checkpoints in the corpus.
  public func count() throws(CorpusError) -> (runs: Int, checkpoints: Int) {
    let row = try index.rows("SELECT count(*), coalesce(sum(checkpoints), 0) FROM runs").first ?? []
    guard row.count == 2, case .integer(let runs) = row[0], case .integer(let checkpoints) = row[1] else {
      throw directory.indexCorrupt()
    }
    return (Int(runs), Int(checkpoints))
  }

  /// - Throws: `unknownRun`.
  public func info(of run: Int64) throws(CorpusError) -> RunInfo {
    let rows = try index.rows(
      """
      SELECT checkpoints, status, split FROM runs WHERE run = \(run)
      """)
    guard let row = rows.first else {
      throw CorpusError(
        .unknownRun, "there is no run \(run) in \(directory.path)",
        remedy: "ask for those that are there: SELECT run FROM runs")
    }
    guard case .integer(let checkpoints) = row[0], let status = row[1].text.flatMap(RunStatus.init),
      let split = row[2].text
    else { throw directory.indexCorrupt() }
    return RunInfo(run: run, checkpoints: Int(checkpoints), status: status, split: split)
  }

  /// Reads some successive checkpoints of a run.
  ///
  /// - Parameter output: steps.count × P, in order.
  /// - Throws: `unknownRun`, `invalidArgument` for steps that the run has not, `damagedShard`.
  public func read(
    _ run: Int64, steps: Range<Int>, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CorpusError) {
    let (shard, index) = try find(run)
    let stored = shard.runs[index]
    guard steps.lowerBound >= 0, steps.upperBound <= stored.count else {
      throw CorpusError(
        .invalidArgument,
        "run \(run) of \(directory.path) has \(stored.count) checkpoints, and steps \(steps.lowerBound) to "
          + "\(steps.upperBound) were asked for",
        remedy: "ask for steps from 0 on and below \(stored.count)")
    }
    guard output.count == steps.count * shard.header.parameterCount else {
      throw CorpusError(
        .invalidArgument, "the memory does not fit \(steps.count) parameter vectors",
        remedy: "pass steps times P floats")
    }
    var decoder = try RunDecoder(header: shard.header)
    try decoder.decode(stored, steps: steps, in: shard, into: output)
  }

  /// Reads a whole run, and proves it against its content hash.
  public func run(_ run: Int64) throws(CorpusError) -> Run {
    let (shard, index) = try find(run)
    var decoder = try RunDecoder(header: shard.header)
    return try decoder.run(at: index, in: shard)
  }

  /// A run's iterations, and for each metric its values at them, without its parameters.
  public func metrics(of run: Int64) throws(CorpusError) -> (iterations: [Int32], metrics: [[Float]]) {
    let (shard, index) = try find(run)
    let stored = shard.runs[index]
    return (shard.iterations(of: stored), shard.metrics(of: stored))
  }

  /// A run's shard, and its position among the shard's runs.
  func find(_ run: Int64) throws(CorpusError) -> (ShardReader, Int) {
    let entry = try index.entry(of: run)
    let (shard, position) = try index.locate(run, in: entry.file) { (file) throws(CorpusError) in
      let shard = try open(file)
      return shard.positions[run].map { (shard.reader, $0) }
    }
    // What all checkpoints of a run are, or the last one, its readers know by the index.
    guard shard.runs[position].count == entry.checkpoints else {
      throw directory.indexStale(
        run, in: shard.path, checkpoints: shard.runs[position].count, entry.checkpoints)
    }
    return (shard, position)
  }

  /// As ``find(_:)``, but asks the index only for what lies in no shard that is open: for who goes through many runs.
  func findAmongOpen(_ run: Int64) throws(CorpusError) -> (ShardReader, Int) {
    if let found = shards.withLock({ $0.find(run) }) { return found }
    return try find(run)
  }

  private func open(_ file: String) throws(CorpusError) -> RecentShards.Shard {
    if let known = shards.withLock({ $0.find(file) }) { return known }
    let reader = try ShardReader(opening: file, of: directory)
    return shards.withLock { $0.add(reader, as: file) }
  }
}

/// The shards that were read last, kept open.
private struct RecentShards {
  struct Shard: Sendable {
    let file: String
    let reader: ShardReader
    /// The position of each run.
    let positions: [Int64: Int]
  }

  /// A handful of files, as a process may not open many.
  private static let limit = 8
  /// The latest at the end.
  private var shards: [Shard] = []

  mutating func find(_ file: String) -> Shard? {
    guard let index = shards.firstIndex(where: { $0.file == file }) else { return nil }
    let shard = shards.remove(at: index)
    shards.append(shard)
    return shard
  }

  func find(_ run: Int64) -> (ShardReader, Int)? {
    for shard in shards.reversed() {
      if let position = shard.positions[run] { return (shard.reader, position) }
    }
    return nil
  }

  mutating func add(_ reader: ShardReader, as file: String) -> Shard {
    let positions = Dictionary(
      reader.runs.enumerated().map { ($0.element.seed, $0.offset) }, uniquingKeysWith: { first, _ in first })
    let shard = Shard(file: file, reader: reader, positions: positions)
    if shards.count == Self.limit { shards.removeFirst() }
    shards.append(shard)
    return shard
  }
}
