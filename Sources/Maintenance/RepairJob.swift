public import Platform
public import Tasks
public import Corpus
import MetricIndex
public import ShardStore
import Synchronization

/// Mends a corpus: finds what is damaged or lost, makes those runs again from their seeds, and proves them equal
/// to what is recorded of them.
///
/// What is damaged stays in its place until its successor lies on the disk, proven; then that takes the place in
/// one step. Where no record is left to prove it with, the damaged file is kept in `damaged/`. Runs that were made
/// when a repair is stopped or killed are not made again by the next one.
public struct RepairJob: Sendable {
  private let directory: CorpusDirectory
  private let workers: Int
  private let makeTask: @Sendable () throws(CorpusError) -> any TrainingTask

  /// - Parameter task: makes the task; called only if some run has to be made again.
  public init(
    directory: CorpusDirectory, workers: Int,
    task: @escaping @Sendable () throws(CorpusError) -> any TrainingTask
  ) {
    self.directory = directory
    self.workers = workers
    makeTask = task
  }

  /// Repairs all that can be.
  ///
  /// - Parameter report: called from the workers.
  /// - Throws: the first failure that is not one run's or file's; what was repaired until then stays.
  public func run(
    cancellation: Cancellation, report: @escaping @Sendable (RepairEvent) -> Void
  ) throws(CorpusError) -> RepairReport {
    // While it is held, nobody else moves or mends shards.
    let locks = try RunLocks.lockingCompaction(directory)
    defer { locks.unlock(RunLocks.compaction) }
    let survey = try RepairSurvey(
      directory, indexed: indexedRuns(), workers: workers, cancellation: cancellation
    ) { report(.examined($0, of: $1)) }
    var problems = survey.problems
    let task = task(for: survey.files, &problems)
    let files = survey.files.filter { task != nil || $0.damagedMembers.isEmpty }
    let staging = try RepairStaging(
      directory: directory, task: task, locks: locks, cancellation: cancellation,
      total: files.reduce(0) { $0 + $1.damagedMembers.count }, problems: problems, report: report)
    try mend(files, at: staging)
    try cancellation.check()
    var result = staging.reportSoFar
    // The index would forget runs that are still lost, and so what they were.
    if files.count == survey.files.count, result.problems.count == problems.count {
      result.index = try MetricIndex.rebuildIfInconsistent(directory, cancellation: cancellation)
      try RepairStaging.clear(directory)
    }
    return result
  }

  /// What the index knows of the runs, before it is brought up to date and forgets those that are lost.
  private func indexedRuns() throws(CorpusError) -> [Int64: IndexedRun] {
    do throws(CorpusError) {
      return try IndexReader(opening: directory, allowStale: true).indexedRuns()
    } catch  where error.code == .indexMissing || error.code == .indexCorrupt {
      return [:]
    }
  }

  /// - Returns: nil if none is needed, or none can be had; the problems then tell why and what it is needed for.
  private func task(for files: [DamagedFile], _ problems: inout [CorpusError]) -> (any TrainingTask)? {
    let damaged = files.flatMap(\.damagedMembers)
    if damaged.isEmpty { return nil }
    do throws(CorpusError) {
      return try makeTask()
    } catch {
      for case .damaged(let problem, _) in damaged.map(\.state) where !problems.contains(problem) {
        // An unreadable shard is the problem of many runs, and named once.
        problems.append(problem)
      }
      problems.append(error)
      return nil
    }
  }

  /// Files of single runs side by side, then the sealed shards one by one, the runs of each side by side.
  private func mend(_ files: [DamagedFile], at staging: RepairStaging) throws(CorpusError) {
    let single = files.filter { CorpusDirectory.seed(ofRunFile: $0.file) != nil }
    try parallelForEach(single, workers: workers) { (file) throws(CorpusError) in try staging.mendSingle(file)
    }
    for file in files where CorpusDirectory.isSealed(file.file) {
      let made = MadeRuns()
      try parallelForEach(file.damagedMembers, workers: workers) { (member) throws(CorpusError) in
        if let run = try staging.makeSealed(member, of: file) {
          made.runs.withLock { $0[member.seed] = run }
        }
      }
      try staging.mendSealed(file, made: made.runs.withLock { $0 })
    }
  }

  private final class MadeRuns: Sendable {
    let runs = Mutex<[Int64: RepairStaging.RemadeRun]>([:])
  }
}
