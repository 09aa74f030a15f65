import Corpus
import Datasets
import Foundation
import Maintenance
import Platform
import ShardStore
import Synchronization
import Tasks
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct BlockJobTests {
  private let temporary = TemporaryDirectory()

  private func corpus(_ name: String, _ task: any TrainingTask) throws -> CorpusDirectory {
    try CorpusRequest(task).open("\(temporary.path)/\(name)").directory
  }

  private func job(
    _ corpus: CorpusDirectory, _ task: any TrainingTask, _ seeds: Range<Int64>, scratch: String = "scratch",
    lease: Double = 600
  ) -> BlockJob {
    var options = BlockJob.Options(runsPerBlock: 4, scratch: "\(temporary.path)/\(scratch)")
    options.leaseSeconds = lease
    return BlockJob(task: task, directory: corpus, seeds: seeds, workers: 2, codec: .delta, options: options)
  }

  @discardableResult
  private func run(_ job: BlockJob) throws -> GenerationJob.Progress {
    try job.run(cancellation: Cancellation()) { #expect((0...$0.total).contains($0.stored)) }
  }

  /// The hash of each run, which must lie in one shard alone.
  private func hashes(_ corpus: CorpusDirectory) throws -> [Int64: ContentHash] {
    var hashes: [Int64: ContentHash] = [:]
    for file in try corpus.shardFiles() {
      for run in try ShardReader(opening: file, of: corpus).runs {
        #expect(hashes.updateValue(run.contentHash, forKey: run.seed) == nil)
      }
    }
    return hashes
  }

  private func generate(_ seeds: Range<Int64>, in corpus: CorpusDirectory) throws {
    _ = try GenerationJob(
      task: RepairFixture.task(), directory: corpus, seeds: seeds, workers: 1, codec: .delta,
      isIndexing: false
    ).run(cancellation: Cancellation()) { _ in }
  }

  private func expected(_ seeds: Range<Int64>) throws -> [Int64: ContentHash] {
    let corpus = try corpus("expected", RepairFixture.task())
    try generate(seeds, in: corpus)
    return try hashes(corpus)
  }

  private func names(_ folder: String) throws -> [String] {
    try Files.names(in: "\(temporary.path)/\(folder)")
  }

  /// A claim of another machine, last renewed some seconds ago.
  private func claim(
    _ name: String, in corpus: CorpusDirectory, renewed age: Double, begun: Double = 0, done: Int = 0
  ) throws {
    let claim = """
      {"format": "checkpoint-corpus claim", "version": 1, "host": "elsewhere", "process": 7, "nonce": 1,
       "begun": \(Date().timeIntervalSince1970 - begun), "lease_seconds": 600, "runs": 4, "done": \(done)}
      """
    let path = "\(corpus.claimsPath)/\(name)"
    try Files.createDirectory(corpus.claimsPath)
    try Data(claim.utf8).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: path)
  }

  @Test func `blocks hold the same runs as files of single ones, and nothing else is left`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    let result = try run(job(corpus, task, 2..<11))
    #expect(result.made == 9 && result.found == 0 && result.madeElsewhere == 0)
    #expect(try hashes(corpus) == expected(2..<11))
    #expect(try names("corpus/shards") == ["000002-000003.h5", "000004-000007.h5", "000008-000010.h5"])
    #expect(try names("corpus/runs") == [] && names("corpus/claims") == [])
    let scratch = try #require(try names("scratch").first)
    #expect(try names("scratch/\(scratch)/runs") == [] && names("scratch/\(scratch)/shards") == [])
    let again = try run(job(corpus, task, 2..<11))
    #expect(again.found == 9 && again.made == 0)
  }

  @Test func `runs that are stored in another way are not made again`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    try generate(1..<3, in: corpus)
    _ = try Compaction(directory: corpus).run { _ in }
    try generate(6..<7, in: corpus)
    let result = try run(job(corpus, task, 0..<8))
    #expect(result.found == 3 && result.made == 5)
    #expect(try hashes(corpus) == expected(0..<8))
    #expect(try names("corpus/shards") == ["000000-000003.h5", "000001-000002.h5", "000004-000007.h5"])
  }

  @Test func `several jobs at once make each block, and each run, once`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    let made = Mutex(0)
    try parallelForEach(["a", "b", "c"], workers: 3) { (scratch) throws(CorpusError) in
      let result = try job(corpus, task, 0..<40, scratch: scratch).run(cancellation: Cancellation()) { _ in }
      made.withLock { $0 += result.made }
    }
    #expect(try hashes(corpus) == expected(0..<40))
    // A second maker near the end is no fault.
    #expect((40...48).contains(made.withLock { $0 }))
    #expect(try names("corpus/claims") == [])
  }

  @Test func `the claim of a dead process holds until its lease ends`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    // So nearly done that nobody helps.
    try claim("000000-000003.claim", in: corpus, renewed: 598, done: 4)
    try claim("000004-000007.claim", in: corpus, renewed: 0, done: 4)
    let cancellation = Cancellation()
    let waited = Mutex(0)
    #expect(throws: CorpusError.self) {
      try job(corpus, task, 0..<12, lease: 3).run(cancellation: cancellation) { progress in
        // All that it may make: the free block, and the one whose lease ends.
        if progress.made == 8, progress.awaited == 4 {
          waited.withLock { $0 += 1 }
          cancellation.cancel()
        }
      }
    }
    #expect(waited.withLock { $0 } > 0)
    #expect(try names("corpus/shards") == ["000000-000003.h5", "000008-000011.h5"])
    let claims = try names("corpus/claims")
    #expect(claims == ["000004-000007.claim"])
  }

  @Test func `who has nothing else to do makes the block of a slow machine, which then loses it`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    try claim("000004-000007.claim", in: corpus, renewed: 0, begun: 3000)
    try run(job(corpus, task, 0..<8, lease: 3))
    #expect(try hashes(corpus) == expected(0..<8))
    // By which the slow machine learns that it may stop.
    #expect(try names("corpus/claims") == [])
  }

  @Test func `a claim that nobody can read is one until its lease ends`() throws {
    let task = try RepairFixture.task()
    let corpus = try corpus("corpus", task)
    try claim("000000-000003.claim", in: corpus, renewed: 2)
    try Data("{".utf8).write(to: URL(fileURLWithPath: corpus.claimsPath + "/000000-000003.claim"))
    try run(job(corpus, task, 0..<4, lease: 1))
    #expect(try hashes(corpus) == expected(0..<4))
  }

  @Test func `what a stopped job has left in scratch is used, and what is damaged there is made again`()
    throws
  {
    let counter = RunCounter()
    let task = UntrustedTask(try RepairFixture.task(), counter)
    let corpus = try corpus("corpus", task)
    let cancellation = Cancellation()
    #expect(throws: CorpusError.self) {
      try job(corpus, task, 0..<4).run(cancellation: cancellation) {
        if $0.made > 0 { cancellation.cancel() }
      }
    }
    #expect(try names("corpus/shards") == [] && names("corpus/claims") == [])
    let runs = "scratch/\(try #require(try names("scratch").first))/runs"
    let left = try names(runs)
    #expect((1...2).contains(left.count))
    try Data("garbage".utf8).write(to: URL(fileURLWithPath: "\(temporary.path)/\(runs)/\(left[0])"))
    counter.value.withLock { $0 = 0 }
    try run(job(corpus, task, 0..<4))
    // Those that were missing, the damaged one, and one more, by which the machine is tried.
    #expect(counter.value.withLock { $0 } == 4 - left.count + 2)
    #expect(try hashes(corpus) == expected(0..<4))
  }

  @Test func `a machine that computes otherwise the second time publishes nothing`() throws {
    let task = UntrustedTask(try RepairFixture.task(), RunCounter(), isWrong: true)
    let corpus = try corpus("corpus", task)
    let error = #expect(throws: CorpusError.self) { try run(job(corpus, task, 0..<4)) }
    #expect(error?.code == .differentRun && error?.message.contains("computes wrongly") == true)
    #expect(try names("corpus/shards") == [])
    let left = try names("corpus/claims")
    #expect(left.count == 1 && left[0].hasSuffix(".failed"))
  }
}

private final class RunCounter: Sendable {
  let value = Mutex(0)
}

/// Cartpole, counting its runs; a wrong one has another bit in each.
private struct UntrustedTask: TrainingTask {
  static let name = CartpoleTask.name
  let base: CartpoleTask
  let counter: RunCounter
  let isWrong: Bool

  init(_ base: CartpoleTask, _ counter: RunCounter, isWrong: Bool = false) {
    (self.base, self.counter, self.isWrong) = (base, counter, isWrong)
  }

  init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    self.init(try CartpoleTask(recipe: recipe, datasets: datasets), RunCounter())
  }

  var architecture: Architecture { base.architecture }
  var metrics: [Metric] { base.metrics }
  var recipe: JSONValue { base.recipe }
  var checkpointsPerRun: Int { base.checkpointsPerRun }

  func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    let number = counter.value.withLock { value in
      value += 1
      return value
    }
    guard let run = try base.generate(seed: seed, isCancelled: isCancelled), isWrong else {
      return try base.generate(seed: seed, isCancelled: isCancelled)
    }
    var parameters = run.parameters
    parameters[0] += Float(number)
    return Run(seed: seed, iterations: run.iterations, metrics: run.metrics, parameters: parameters)
  }
}
