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
    claims = try Claims(directory)
    try claims.removeUnfinishedRuns(of: directory)
    let stored = try StoredRuns(directory)
    if let problem = stored.problems.first { throw problem }
    storedRuns = Mutex(stored)
  }

  /// The runs that were in sealed shards when the writer was opened or last stored something.
  public var sealedRuns: Set<Int64> { storedRuns.withLock { Set($0.sealed.keys) } }

  /// Whether another process is making a run.
  public func isClaimed(_ seed: Int64) -> Bool { claims.isTaken(seed) }

  /// Whether a run is stored by now.
  public func isStored(_ seed: Int64) throws(CorpusError) -> Bool {
    try storedRuns.withLock { (stored) throws(CorpusError) in try stored.contains(seed) }
  }

  /// Claims a run for those who make it elsewhere than in ``store(_:with:make:)``, and then call ``store(claimed:)``
  /// or ``release(_:)``.
  ///
  /// - Throws: `alreadyExists` for a run that is stored, `claimedElsewhere`.
  public func claim(_ seed: Int64) throws(CorpusError) {
    guard try claims.take(seed) else {
      throw CorpusError(
        .claimedElsewhere, "run \(seed) of \(directory.path) is being made by somebody else",
        remedy: "make another one meanwhile, or end the other process")
    }
    do throws(CorpusError) {
      guard try !isStored(seed) else {
        throw CorpusError(
          .alreadyExists, "run \(seed) is stored in \(directory.path)",
          remedy: "leave it out: a stored run is never changed")
      }
    } catch {
      claims.release(seed)
      throw error
    }
  }

  /// Gives up a claimed run.
  public func release(_ seed: Int64) { claims.release(seed) }

  /// Stores and indexes a run that is claimed by this writer, and ends the claim; a failure leaves it claimed.
  public func store(claimed run: Run) throws(CorpusError) {
    let header = ShardHeader(
      manifest: directory.manifest, codec: directory.manifest.codec, checkpoints: run.count)
    var encoder = try RunEncoder(header: header)
    _ = try put(run, with: &encoder)
    claims.release(run.seed)
  }

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
    if try isStored(seed) { return .found }
    guard let run = try make() else { return .abandoned }
    precondition(run.seed == seed)
    return .stored(try put(run, with: &encoder))
  }

  private func put(_ run: Run, with encoder: inout RunEncoder) throws(CorpusError) -> EncodedRun {
    let encoded = try encoder.encode(run)
    let file = directory.runFile(seed: run.seed)
    var writer = try ShardWriter(
      path: directory.absolute(file), header: encoder.header, counts: [run.count],
      bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    try index?.ingest([file])
    return encoded
  }
}
