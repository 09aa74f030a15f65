public import Corpus
public import ShardStore
import Synchronization

/// Stores runs in a corpus, each once, and takes them up into its index.
///
/// Any number of writers, threads and processes may store into one corpus at once: who makes a run claims it first,
/// so that nobody makes it a second time.
public final class CorpusWriter: Sendable {
  /// What became of a run.
  public enum Outcome: Sendable {
    case stored(EncodedRun)
    /// Somebody had stored it before.
    case found
    /// Another process is making it.
    case claimedElsewhere
    /// Its maker gave it up.
    case abandoned
  }

  public let directory: CorpusDirectory
  private let index: MetricIndex?
  private let claims: Claims
  private let storedRuns: Mutex<StoredRuns>

  /// Opens a corpus for writing.
  ///
  /// - Parameter index: takes up the runs as they are stored; nil leaves that to a later `corpus index`, as for many
  ///   machines on a network file system, whose locks SQLite cannot trust.
  /// - Throws: what is wrong with a sealed shard that cannot be read: what it holds is unknown, and must not be
  ///   stored a second time.
  public init(_ directory: CorpusDirectory, index: MetricIndex?) throws(CorpusError) {
    self.directory = directory
    self.index = index
    claims = try Claims(directory: directory.path)
    let stored = try StoredRuns(directory)
    if let problem = stored.problems.first { throw problem }
    storedRuns = Mutex(stored)
  }

  /// The runs that were in sealed shards when the writer was opened or last stored something.
  public var sealedRuns: Set<Int64> { storedRuns.withLock { Set($0.sealed.keys) } }

  /// Whether another process is making a run.
  public func isClaimed(_ seed: Int64) -> Bool { claims.isTaken(seed) }

  /// Makes, stores and indexes one run, unless it is stored or another process is at it.
  ///
  /// - Parameters:
  ///   - encoder: of the calling thread, for this corpus.
  ///   - make: called while the run is claimed; nil gives it up.
  public func store(
    _ seed: Int64, with encoder: inout RunEncoder, make: () throws(CorpusError) -> Run?
  ) throws(CorpusError) -> Outcome {
    guard try claims.take(seed) else { return .claimedElsewhere }
    // Kept until the run is in the index: who finds the file before that knows that someone is at it.
    defer { claims.release(seed) }
    let isStored = try storedRuns.withLock { (stored) throws(CorpusError) in try stored.contains(seed) }
    if isStored { return .found }
    guard let run = try make() else { return .abandoned }
    precondition(run.seed == seed)
    let encoded = try encoder.encode(run)
    let file = directory.runFile(seed: seed)
    var writer = try ShardWriter(
      path: directory.absolute(file), header: encoder.header, counts: [run.count],
      bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    try index?.ingest([file])
    return .stored(encoded)
  }
}
