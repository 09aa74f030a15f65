public import Corpus
import Foundation
import MetricIndex
import ShardStore
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
    public var checkpoints = 0
    public var rawBytes = 0
    public var compressedBytes = 0

    public var stored: Int { found + made + madeElsewhere }
  }

  private let generator: any Generator
  private let directory: CorpusDirectory
  private let seeds: Range<Int64>
  private let workers: Int
  private let codec: Codec
  private let isIndexing: Bool

  /// - Parameters:
  ///   - isIndexing: whether to take the runs up into the index as they are stored; off for many machines on a
  ///     network file system, whose locks SQLite cannot trust.
  public init(
    generator: any Generator, directory: CorpusDirectory, seeds: Range<Int64>, workers: Int, codec: Codec,
    isIndexing: Bool = true
  ) {
    self.generator = generator
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
    let claims = try Claims(directory: directory.path)
    let index = isIndexing ? try MetricIndex(openingOrCreating: directory) : nil
    let indexProblems = try index?.synchronize(cancellation: cancellation).problems ?? []
    let stored = try storedSeeds()
    let missing = seeds.filter { !stored.contains($0) }
    let start = Progress(total: seeds.count, found: seeds.count - missing.count)
    let job = SharedState(start, missing: missing)
    report(start)
    try Workers.run(max(1, min(workers, missing.count))) { [self] _ throws(CorpusError) in
      do throws(CorpusError) {
        try work(job, claims, index, cancellation, report)
      } catch {
        job.stop.cancel()
        throw error
      }
    }
    try awaitOthers(job, claims, index, cancellation, report)
    if let problem = indexProblems.first { throw problem }
    return job.progress.withLock { $0 }
  }

  private final class SharedState: Sendable {
    let progress: Mutex<Progress>
    let queue: WorkQueue<Int64>
    /// Runs that another process had claimed when their turn came.
    let elsewhere = Mutex<[Int64]>([])
    /// Set when one worker has failed.
    let stop = Cancellation()

    init(_ start: Progress, missing: [Int64]) {
      progress = Mutex(start)
      queue = WorkQueue(missing)
    }
  }

  private func work(
    _ job: SharedState, _ claims: Claims, _ index: MetricIndex?, _ cancellation: Cancellation,
    _ report: @Sendable (Progress) -> Void
  ) throws(CorpusError) {
    var encoder = try RunEncoder(
      header: ShardHeader(
        manifest: directory.manifest, codec: codec, checkpoints: generator.checkpointsPerRun))
    while !job.stop.isCancelled, let seed = job.queue.next() {
      try cancellation.check()
      let isMade = try make(seed, with: &encoder, job, claims, index, cancellation)
      guard isMade else { continue }
      report(job.progress.withLock { $0 })
    }
  }

  /// Trains, stores and indexes one run, unless another process is at it or has just done it.
  private func make(
    _ seed: Int64, with encoder: inout RunEncoder, _ job: SharedState, _ claims: Claims,
    _ index: MetricIndex?,
    _ cancellation: Cancellation
  ) throws(CorpusError) -> Bool {
    guard try claims.take(seed) else {
      job.elsewhere.withLock { $0.append(seed) }
      return false
    }
    // Kept until the run is in the index: who finds the file before that knows that someone is at it.
    defer { claims.release(seed) }
    let file = directory.runFile(seed: seed)
    if Files.exists(directory.absolute(file)) {
      job.progress.withLock { $0.madeElsewhere += 1 }
      return true
    }
    let isStopped: @Sendable () -> Bool = { cancellation.isCancelled || job.stop.isCancelled }
    guard let run = try generator.storedRun(seed: seed, isCancelled: isStopped) else {
      try cancellation.check()
      return false
    }
    let encoded = try encoder.encode(run)
    let writer = try ShardWriter(
      path: directory.absolute(file), header: encoder.header, counts: [run.count],
      bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    try index?.ingest([file])
    job.progress.withLock {
      $0.made += 1
      $0.checkpoints += run.count
      $0.rawBytes += 4 * run.parameters.count
      $0.compressedBytes += encoded.compressedBytes
    }
    return true
  }

  /// Waits for the runs that other processes had claimed, and makes those that they did not finish.
  private func awaitOthers(
    _ job: SharedState, _ claims: Claims, _ index: MetricIndex?, _ cancellation: Cancellation,
    _ report: @Sendable (Progress) -> Void
  ) throws(CorpusError) {
    var pending = job.elsewhere.withLock { $0 }
    guard !pending.isEmpty else { return }
    var encoder = try RunEncoder(
      header: ShardHeader(
        manifest: directory.manifest, codec: codec, checkpoints: generator.checkpointsPerRun))
    while !pending.isEmpty {
      report(
        job.progress.withLock {
          $0.awaited = pending.count
          return $0
        })
      try cancellation.check()
      var waiting: [Int64] = []
      for seed in pending {
        if claims.isTaken(seed) {
          waiting.append(seed)
        } else if try isStored(seed) {
          job.progress.withLock { $0.madeElsewhere += 1 }
        } else {
          job.elsewhere.withLock { $0.removeAll() }
          let isMade = try make(seed, with: &encoder, job, claims, index, cancellation)
          if !isMade { waiting.append(seed) }
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

  private func isStored(_ seed: Int64) throws(CorpusError) -> Bool {
    if Files.exists(directory.absolute(directory.runFile(seed: seed))) { return true }
    return try storedSeeds().contains(seed)
  }

  /// The seeds of all runs that are there, from the shards themselves.
  private func storedSeeds() throws(CorpusError) -> Set<Int64> {
    var seeds: Set<Int64> = []
    for file in try directory.shardFiles() {
      if file.hasPrefix("runs/") {
        if let seed = Int64(file.dropFirst(5).dropLast(3)) { seeds.insert(seed) }
      } else {
        let shard = try ShardReader(opening: directory.absolute(file))
        try shard.header.requireMember(of: directory.manifest, path: shard.path)
        seeds.formUnion(shard.runs.map(\.seed))
      }
    }
    return seeds
  }
}
