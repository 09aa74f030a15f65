public import Platform
public import Corpus
import Foundation
import Glibc
import Maintenance
import MetricIndex
import ShardStore
import Synchronization
public import Tasks

/// What some runs of a task took on this machine, all its cores busy with them: trained, compressed, stored, sealed and
/// indexed, as those of a whole corpus are.
public struct GenerationMeasurement: Sendable {
  /// Some runs, as many at a time as there are workers.
  public struct Batch: Sendable {
    public let runs: Int
    /// Processor time of all threads.
    public let coreSeconds: Double
    /// Time on the clock.
    public let seconds: Double
  }

  public let task: String
  public let workers: Int
  public let checkpointsPerRun: Int
  public private(set) var batches: [Batch] = []
  /// Processor time that sealing and indexing took, a run.
  public private(set) var sealingSeconds = 0.0
  /// Of a sealed shard, a run.
  public private(set) var bytesPerRun = 0.0
  /// Of the index, a run.
  public private(set) var indexBytesPerRun = 0.0

  public var runs: Int { batches.reduce(0) { $0 + $1.runs } }

  /// Processor time that a run takes, all in all.
  public var secondsPerRun: Double {
    batches.reduce(0) { $0 + $1.coreSeconds } / Double(max(runs, 1)) + sealingSeconds
  }

  /// The least and the most that a run took on average over a batch.
  public var spread: ClosedRange<Double> {
    let means = batches.map { $0.coreSeconds / Double($0.runs) + sealingSeconds }
    return (means.min() ?? 0)...(means.max() ?? 0)
  }

  /// How much longer than its processor time a run took on the clock, as others wanted the same cores: 1 on a machine that
  /// has nothing else to do.
  public var slowdown: Double {
    let (busy, clock) = batches.reduce(into: (0.0, 0.0)) { sums, batch in
      sums.0 += batch.coreSeconds
      // Workers without a run of their own in the last round are idle, not held up.
      sums.1 += batch.seconds * Double(min(workers, batch.runs))
    }
    return busy > 0 ? max(clock / busy, 1) : 1
  }

  /// Makes runs of a task, in a directory that is removed again.
  ///
  /// - Parameters:
  ///   - seconds: how long to go on beginning batches, of which there are at least two.
  ///   - progress: called after each batch with the seconds since the beginning.
  public init(
    _ task: any TrainingTask, seconds: Double, workers: Int = Workers.available, cancellation: Cancellation,
    progress: (Double) -> Void
  ) throws(CorpusError) {
    self.task = task.name
    self.workers = workers
    checkpointsPerRun = task.checkpointsPerRun
    let place = FileManager.default.temporaryDirectory.path + "/corpus-plan-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: place) }
    var (directory, task) = try CorpusRequest(task).open(place)
    // Nobody else knows this place, which may have no locks.
    directory.isAlone = true
    let begin = ContinuousClock.now
    func elapsed() -> Double { (ContinuousClock.now - begin) / .seconds(1) }
    var size = workers
    repeat {
      let first = Int64(runs)
      batches.append(
        try measured(runs: size) { () throws(CorpusError) in
          _ = try GenerationJob(
            task: task, directory: directory, seeds: first..<first + Int64(size), workers: workers,
            codec: directory.manifest.codec, isIndexing: false
          ).run(cancellation: cancellation) { _ in }
        })
      progress(elapsed())
      // About ten batches, each of whole rounds.
      let rounds =
        seconds / 10 / max(batches[batches.count - 1].seconds, 1e-3) * Double(size) / Double(workers)
      size = workers * max(1, Int(rounds))
    } while elapsed() < seconds || batches.count < 2
    // Empty tables take a page each, which is much beside a few runs, and nothing beside a corpus.
    let index = try MetricIndex(openingOrCreating: directory)
    let empty = try Files.size(directory.indexPath)
    let sealing = try measured(runs: runs) { () throws(CorpusError) in
      _ = try Compaction(directory: directory, workers: workers).run(cancellation: cancellation) { _ in }
      _ = try index.synchronize(cancellation: cancellation)
    }
    sealingSeconds = sealing.coreSeconds / Double(runs)
    let shards = try directory.shardFiles().map { (file) throws(CorpusError) in
      try Files.size(directory.absolute(file))
    }
    bytesPerRun = Double(shards.reduce(0, +)) / Double(runs)
    indexBytesPerRun = Double(try Files.size(directory.indexPath) - empty) / Double(runs)
  }

  private func measured(runs: Int, _ work: () throws(CorpusError) -> Void) throws(CorpusError) -> Batch {
    let begin = ContinuousClock.now
    let before = processorSeconds()
    try work()
    return Batch(
      runs: runs, coreSeconds: processorSeconds() - before,
      seconds: (ContinuousClock.now - begin) / .seconds(1))
  }
}

/// What all threads of this process have taken until now, in the system, too.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
