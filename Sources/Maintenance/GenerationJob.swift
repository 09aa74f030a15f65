public import Platform
import CorpusStore
public import Tasks
public import Corpus
import Foundation
import MetricIndex
public import ShardStore
import Synchronization

/// Trains and stores a range of runs, several at a time.
///
/// Runs that are stored already are not made again, so the same job goes on where an earlier one was stopped or
/// killed. Any number of jobs, on one machine or many, may work on the same corpus: each run is claimed by
/// whoever makes it, and a job ends when all runs of its range are stored, whoever made them.
public struct GenerationJob: Sendable {
  /// How far a job has come.
  public struct Progress: Sendable {
    /// The number of runs asked for.
    public var total = 0
    /// Those that were stored before the job began.
    public var found = 0
    /// Those that this job has trained and stored.
    public var made = 0
    /// Those that other jobs have made meanwhile.
    public var madeElsewhere = 0
    /// Those that other jobs are making and this one waits for.
    public var awaited = 0
    /// Those that are stored and not in the index, as somebody would not let go of it.
    public var unindexed = 0
    public var checkpoints = 0
    public var rawBytes = 0
    public var compressedBytes = 0
    /// Of those that this job has made, the ones of another status than `ok`.
    public var bad = 0

    public var stored: Int { found + made + madeElsewhere }
  }

  private let task: any TrainingTask
  private let directory: CorpusDirectory
  private let seeds: Range<Int64>
  private let workers: Int
  private let codec: Codec
  private let isIndexing: Bool

  /// - Parameters:
  ///   - isIndexing: whether to take the runs up into the index, as soon as it is free; off for many machines on a
  ///     network file system, whose locks SQLite cannot trust.
  public init(
    task: any TrainingTask, directory: CorpusDirectory, seeds: Range<Int64>, workers: Int, codec: Codec,
    isIndexing: Bool = true
  ) {
    self.task = task
    self.directory = directory
    self.seeds = seeds
    self.workers = workers
    self.codec = codec
    self.isIndexing = isIndexing
  }

  /// Makes the runs that are not there yet.
  ///
  /// - Parameter report: called from the workers after each run.
  /// - Throws: the first failure; what was stored until then stays.
  public func run(
    cancellation: Cancellation, report: @escaping @Sendable (Progress) -> Void
  ) throws(CorpusError) -> Progress {
    let index = isIndexing ? try MetricIndex(openingOrCreating: directory) : nil
    var indexed = try index?.synchronize(patience: .seconds(1), cancellation: cancellation)
    var problems = indexed?.problems ?? []
    let writer = try CorpusWriter(directory, index: index)
    let found = try storedSeeds(writer.sealedRuns, isChecking: index == nil, &problems)
    let start = Progress(total: seeds.count, found: found.count)
    let job = SharedState(start, seeds: seeds, found: found)
    report(start)
    let making = Result { () throws(CorpusError) in
      try makeAll(job, writer, workers: seeds.count - found.count, cancellation, report)
    }
    // What was stored before a failure, or a request to stop, is worth finding, too.
    let unindexed = Result { () throws(CorpusError) in try writer.finish() }
    try making.get()
    var left = try unindexed.get()
    if let postponed = indexed?.postponed, postponed > 0 {
      indexed = try index?.synchronize(patience: .zero, cancellation: cancellation)
      problems += indexed?.problems ?? []
      left = max(left, indexed?.postponed ?? 0)
    }
    // Those of this range have been made again meanwhile.
    if let problem = problems.first ?? indexed?.missingError(directory) { throw problem }
    return job.progress.withLock {
      $0.unindexed = left
      return $0
    }
  }

  private func makeAll(
    _ job: SharedState, _ writer: CorpusWriter, workers needed: Int, _ cancellation: Cancellation,
    _ report: @escaping @Sendable (Progress) -> Void
  ) throws(CorpusError) {
    try Workers.run(max(1, min(workers, needed))) { [self] _ throws(CorpusError) in
      do throws(CorpusError) {
        try work(job, writer, cancellation, report)
      } catch {
        job.stop.cancel()
        throw error
      }
    }
    try awaitOthers(job, writer, cancellation, report)
  }

  /// The seeds of our range whose runs are stored.
  ///
  /// - Parameter isChecking: whether to look into the files of single runs, as no index has done it.
  private func storedSeeds(
    _ sealed: Set<Int64>, isChecking: Bool, _ problems: inout [CorpusError]
  ) throws(CorpusError) -> Set<Int64> {
    var found = sealed.filter(seeds.contains)
    for file in try directory.shardFiles() {
      guard let seed = CorpusDirectory.seed(ofRunFile: file), seeds.contains(seed) else { continue }
      found.insert(seed)
      guard isChecking else { continue }
      do throws(CorpusError) {
        _ = try ShardReader(opening: file, of: directory)
      } catch {
        // A compaction may have sealed it meanwhile.
        if Files.exists(directory.absolute(file)) { problems.append(error) }
      }
    }
    return found
  }

  /// What the workers of a job share.
  private final class SharedState: Sendable {
    let progress: Mutex<Progress>
    /// Runs that another process had claimed when their turn came.
    let elsewhere = Mutex<[Int64]>([])
    /// Set when one worker has failed.
    let stop = Cancellation()
    private let remaining: Mutex<Range<Int64>>
    private let found: Set<Int64>

    init(_ start: Progress, seeds: Range<Int64>, found: Set<Int64>) {
      progress = Mutex(start)
      remaining = Mutex(seeds)
      self.found = found
    }

    /// The next seed whose run is missing.
    func next() -> Int64? {
      remaining.withLock { remaining in
        while let seed = remaining.popFirst() {
          if !found.contains(seed) { return seed }
        }
        return nil
      }
    }
  }

  private func work(
    _ job: SharedState, _ writer: CorpusWriter, _ cancellation: Cancellation,
    _ report: @Sendable (Progress) -> Void
  ) throws(CorpusError) {
    var encoder = try RunEncoder(header: header)
    while !job.stop.isCancelled, let seed = job.next() {
      try cancellation.check()
      let isMade = try make(seed, with: &encoder, job, writer, cancellation)
      guard isMade else { continue }
      report(job.progress.withLock { $0 })
    }
  }

  private var header: ShardHeader {
    ShardHeader(manifest: directory.manifest, codec: codec, checkpoints: task.checkpointsPerRun)
  }

  /// Trains and stores one run, unless another process is at it or has just done it.
  private func make(
    _ seed: Int64, with encoder: inout RunEncoder, _ job: SharedState, _ writer: CorpusWriter,
    _ cancellation: Cancellation
  ) throws(CorpusError) -> Bool {
    let isStopped: @Sendable () -> Bool = { cancellation.isCancelled || job.stop.isCancelled }
    let outcome = try writer.store(seed, with: &encoder) { () throws(CorpusError) in
      try task.storedRun(seed: seed, isCancelled: isStopped)
    }
    switch outcome {
    case .claimedElsewhere:
      job.elsewhere.withLock { $0.append(seed) }
      return false
    case .abandoned:
      try cancellation.check()
      return false
    case .found:
      job.progress.withLock { $0.madeElsewhere += 1 }
    case .stored(let run):
      job.progress.withLock {
        $0.made += 1
        $0.checkpoints += run.count
        $0.rawBytes += 4 * task.architecture.parameterCount * run.count
        $0.compressedBytes += run.compressedBytes
        if run.status != .ok { $0.bad += 1 }
      }
    }
    return true
  }

  /// Waits for the runs that other processes had claimed, and makes those that they did not finish.
  private func awaitOthers(
    _ job: SharedState, _ writer: CorpusWriter, _ cancellation: Cancellation,
    _ report: @Sendable (Progress) -> Void
  ) throws(CorpusError) {
    var pending = job.elsewhere.withLock { $0 }
    guard !pending.isEmpty else { return }
    var encoder = try RunEncoder(header: header)
    while !pending.isEmpty {
      report(
        job.progress.withLock {
          $0.awaited = pending.count
          return $0
        })
      try cancellation.check()
      var waiting: [Int64] = []
      for seed in pending {
        if writer.isClaimed(seed), try !writer.isStored(seed) {
          waiting.append(seed)
        } else {
          // It is stored now, or its maker has died and it is ours to make.
          job.elsewhere.withLock { $0.removeAll() }
          if try !make(seed, with: &encoder, job, writer, cancellation) { waiting.append(seed) }
        }
      }
      pending = waiting
      if !pending.isEmpty { Thread.sleep(forTimeInterval: 0.2) }
    }
    report(
      job.progress.withLock {
        $0.awaited = 0
        return $0
      })
  }
}
