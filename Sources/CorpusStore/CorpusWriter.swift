import Platform
public import MetricIndex
public import Corpus
public import ShardStore
import Synchronization

/// Stores runs in a corpus, each once, and takes them up into its index.
///
/// Any number of writers, threads and processes may store into one corpus at once: who makes a run claims it first,
/// so that nobody makes it a second time.
///
/// A run is stored when its file is there. The index, which can be made from the files at any time, takes it up when it
/// is free, at the latest in ``finish(patience:)``; nothing ever waits for that, and nothing fails with it.
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
  private let locks: RunLocks
  private let storedRuns: Mutex<StoredRuns>
  private let queue: Mutex<IntakeQueue>

  /// Opens a corpus for writing.
  ///
  /// - Parameter index: takes up the runs as they are stored; nil leaves that to a later `corpus index`, as for many
  ///   machines on a network file system, whose locks SQLite cannot trust.
  /// - Throws: what is wrong with a sealed shard that cannot be read: what it holds is unknown, and must not be
  ///   stored a second time.
  public init(_ directory: CorpusDirectory, index: MetricIndex?) throws(CorpusError) {
    self.directory = directory
    self.index = index
    locks = try RunLocks(directory)
    try locks.removeUnfinishedRuns(of: directory)
    let stored = try StoredRuns(directory)
    if let problem = stored.problems.first { throw problem }
    storedRuns = Mutex(stored)
    queue = Mutex(IntakeQueue())
  }

  /// The runs that were in sealed shards when the writer was opened or last stored something.
  public var sealedRuns: Set<Int64> { storedRuns.withLock { Set($0.sealed.keys) } }

  /// Whether another process is making a run, or is about to take it up into the index.
  public func isClaimed(_ seed: Int64) -> Bool { locks.isLocked(seed) }

  /// Whether a run is stored by now.
  public func isStored(_ seed: Int64) throws(CorpusError) -> Bool {
    try storedRuns.withLock { (stored) throws(CorpusError) in try stored.contains(seed) }
  }

  /// Claims a run for those who make it elsewhere than in ``store(_:with:make:)``, and then call ``store(claimed:)``
  /// or ``release(_:)``.
  ///
  /// - Throws: `alreadyExists` for a run that is stored, `claimedElsewhere`.
  public func claim(_ seed: Int64) throws(CorpusError) {
    let isOurs = try take(seed)
    do throws(CorpusError) {
      guard try !isStored(seed) else {
        throw CorpusError(
          .alreadyExists, "run \(seed) is stored in \(directory.path)",
          remedy: "leave it out: a stored run is never changed")
      }
      guard isOurs else {
        throw CorpusError(
          .claimedElsewhere, "run \(seed) of \(directory.path) is being made by somebody else",
          remedy: "make another one meanwhile, or end the other process")
      }
    } catch {
      if isOurs { locks.unlock(seed) }
      throw error
    }
  }

  /// Gives up a claimed run.
  public func release(_ seed: Int64) { locks.unlock(seed) }

  /// Stores a run that is claimed by this writer, and ends the claim when the index has it; a failure leaves it claimed.
  public func store(claimed run: Run) throws(CorpusError) {
    let header = ShardHeader(
      manifest: directory.manifest, codec: directory.manifest.codec, checkpoints: run.count)
    var encoder = try RunEncoder(header: header)
    _ = try put(run, with: &encoder)
  }

  /// Makes and stores one run, unless it is stored or another process is at it.
  ///
  /// - Parameters:
  ///   - encoder: of the calling thread, for this corpus.
  ///   - make: called while the run is claimed; nil gives it up.
  public func store(
    _ seed: Int64, with encoder: inout RunEncoder, make: () throws(CorpusError) -> Run?
  ) throws(CorpusError) -> Outcome {
    guard try take(seed) else {
      return try isStored(seed) ? .found : .claimedElsewhere
    }
    var isStoredNow = false
    defer { if !isStoredNow { locks.unlock(seed) } }
    if try isStored(seed) { return .found }
    guard let run = try make() else { return .abandoned }
    precondition(run.seed == seed)
    let encoded = try put(run, with: &encoder)
    isStoredNow = true
    return .stored(encoded)
  }

  /// Stores a run; its claim is then the queue's, which keeps it until the run is in the index: who finds the file before
  /// that knows that someone is at it.
  private func put(_ run: Run, with encoder: inout RunEncoder) throws(CorpusError) -> EncodedRun {
    let encoded = try encoder.encode(run)
    let file = directory.runFile(seed: run.seed)
    var writer = try ShardWriter(
      path: directory.absolute(file), header: encoder.header, counts: [run.count],
      bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    guard let index else {
      locks.unlock(run.seed)
      return encoded
    }
    queue.withLock { $0.add(run.seed) }
    takeUp(into: index, patience: .zero, isDue: false)
    return encoded
  }

  /// RunLocks a run; not one that this writer holds for the index, which its lock would let it take again.
  private func take(_ seed: Int64) throws(CorpusError) -> Bool {
    if queue.withLock({ $0.contains(seed) }) { return false }
    return try locks.lock(seed)
  }

  // MARK: The index

  /// Takes up what the index has not got yet, and gives the metrics their indexes where much is new.
  ///
  /// - Parameter patience: how long to wait for those who read or change the index.
  /// - Returns: the number of runs that are left to a later `corpus index`, as there was no getting at it.
  /// - Throws: why the index could not take up something. All runs are stored nevertheless.
  @discardableResult
  public func finish(patience: Duration = .seconds(5)) throws(CorpusError) -> Int {
    guard let index else { return 0 }
    while takeUp(into: index, patience: patience, isDue: true) {}
    let (left, problem) = queue.withLock { ($0.takeAll(), $0.problem) }
    for seed in left { locks.unlock(seed) }
    if let problem { throw problem }
    if left.isEmpty { try index.indexMetrics(patience: patience) }
    return left.count
  }

  /// Takes up runs of the queue, unless another thread is at it.
  ///
  /// - Parameter isDue: whether to do it even if it was done a moment ago.
  /// - Returns: whether some were taken up.
  @discardableResult
  private func takeUp(into index: MetricIndex, patience: Duration, isDue: Bool) -> Bool {
    let batch = queue.withLock { $0.begin(isDue: isDue) }
    if batch.isEmpty { return false }
    var report = MetricIndex.Report()
    var isTaken = false
    var failure: CorpusError?
    do throws(CorpusError) {
      // A compaction that has sealed some meanwhile has told the index.
      let files = batch.map { directory.runFile(seed: $0) }.filter { Files.exists(directory.absolute($0)) }
      isTaken = try index.ingest(files, &report, patience)
    } catch {
      failure = error
    }
    let problem = failure ?? report.problems.first
    queue.withLock { $0.end(isTaken ? batch : [], problem, isLast: failure != nil) }
    if isTaken { for seed in batch { locks.unlock(seed) } }
    return isTaken
  }
}

/// The runs of a writer that are stored and not in the index.
private struct IntakeQueue {
  /// In the order in which they were stored; what is being taken up is still among them.
  private var seeds: [Int64] = []
  private var members: Set<Int64> = []
  private var isAtWork = false
  private var isOver = false
  private var began = ContinuousClock.now
  private var next = ContinuousClock.now
  /// The first one.
  private(set) var problem: CorpusError?

  /// Of the time between two intakes, the part that one may take: so quick runs are taken up many at a time.
  private static let part = 50
  private static let shortestPause = Duration.milliseconds(250)

  func contains(_ seed: Int64) -> Bool { members.contains(seed) }

  mutating func add(_ seed: Int64) {
    seeds.append(seed)
    members.insert(seed)
  }

  /// What is to be taken up now, by the caller.
  mutating func begin(isDue: Bool) -> [Int64] {
    guard !isAtWork, !isOver, !seeds.isEmpty, isDue || .now >= next else { return [] }
    isAtWork = true
    began = .now
    return Array(seeds.prefix(MetricIndex.filesPerTransaction))
  }

  /// - Parameters:
  ///   - taken: the first ones, which the index has now; none where it was busy.
  ///   - isLast: whether it makes no sense to take up more.
  mutating func end(_ taken: [Int64], _ problem: CorpusError?, isLast: Bool) {
    isAtWork = false
    isOver = isLast
    self.problem = self.problem ?? problem
    next = .now + max(Self.shortestPause, began.duration(to: .now) * Self.part)
    seeds.removeFirst(taken.count)
    members.subtract(taken)
  }

  mutating func takeAll() -> [Int64] {
    defer { (seeds, members) = ([], []) }
    return seeds
  }
}
