import Baselines
import Corpus
import CorpusStore
import Datasets
import Foundation
import Maintenance
import MetricIndex
import Platform
import ShardStore
import Synchronization
import Tasks
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct BaselineStudyTests {
  private let temporary = TemporaryDirectory()

  private static func digits() throws -> MNISTTask {
    let digits = try ImageDataset.syntheticDigits(train: 640, test: 100)
    var recipe = MNISTRecipe(dataset: digits.identity)
    (recipe.epochs, recipe.batchSize, recipe.checkpoints) = (2, 64, 4)
    return try MNISTTask(recipe, dataset: digits)
  }

  private static func policies() throws -> CartpoleTask {
    var recipe = CartpoleRecipe()
    (recipe.environments, recipe.iterations, recipe.checkpoints) = (16, 8, 3)
    recipe.evaluationEpisodes = 16
    return try CartpoleTask(recipe)
  }

  private func study(
    _ task: any Evaluator, _ metric: String, updates: Int = 12, rates: [Double]? = nil, runs: [Int64]? = nil,
    workers: Int = 2
  ) throws -> BaselineStudy {
    var options = BaselineStudy.Options()
    (options.starts, options.tuningStarts, options.updates) = (runs?.count ?? 3, 2, updates)
    (options.learningRates, options.runs) = (rates, runs)
    return try BaselineStudy(
      task, metric: metric, in: temporary.path + "/out", options: options, workers: workers)
  }

  private func run(_ study: BaselineStudy) throws -> [OptimizerCurve] {
    try study.run(cancellation: Cancellation()) { #expect($0 <= $1) }
  }

  @Test func `optimizers learn, at the best of the rates, and are found in corpora of their own`() throws {
    let task = try Self.digits()
    let curves = try run(study(task, "test_loss", rates: [1e-9, 0.02]))
    #expect(curves.map(\.name) == [.adam, .nesterov])
    for curve in curves {
      #expect(curve.learningRate == 0.02 && curve.tried.map(\.learningRate) == [1e-9, 0.02])
      #expect(curve.updates == Array(0...12) && curve.median.count == 13)
      #expect(curve.median[12] < 0.95 * curve.median[0])
      let directory = try CorpusDirectory(opening: "\(temporary.path)/out/\(curve.name.rawValue)")
      let index = try IndexReader(opening: directory)
      #expect(
        try index.rows("SELECT count(*), count(DISTINCT run) FROM checkpoints") == [
          [.integer(39), .integer(3)]
        ])
      let reader = CorpusReader(index)
      let run = try reader.run(1)
      // It begins as evaluation's random starts do, and is measured as the task measures.
      #expect(Array(run.parameters.prefix(7960)) == task.initialNetwork(seed: 1 << 62 | 1))
      #expect(
        task.evaluate(network: Array(run.parameters.suffix(7960)), seed: 0) == run.metrics.map { $0[12] })
      let replay = try Replay(
        directory: directory,
        task: Tasks.task(of: directory.manifest, path: directory.path, datasets: DatasetsDirectory()),
        workers: 1
      ).run(.range(0..<3), cancellation: Cancellation()) { _, _ in }
      #expect(replay.equal == 3 && replay.problems.isEmpty)
    }
  }

  @Test func `a policy is trained by PPO from where a run begins`() throws {
    let task = try Self.policies()
    let curves = try run(study(task, "train_return", updates: 6, rates: [1e-3], runs: [5, 9]))
    #expect(curves.map(\.name) == [.ppo] && curves[0].median.count == 7)
    let directory = try CorpusDirectory(opening: temporary.path + "/out/ppo")
    let reader = CorpusReader(try IndexReader(opening: directory))
    #expect(Array(try reader.run(9).parameters.prefix(1250)) == task.initialNetwork(seed: 9))
  }

  @Test func `what is trained is not trained again, and other updates are refused`() throws {
    let task = try Self.digits()
    _ = try run(study(task, "test_loss", rates: [0.02]))
    let path = temporary.path + "/out/adam/runs/000/000001.h5"
    let before = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
    let again = try run(study(task, "test_error", rates: [0.02]))
    #expect(again[0].median[0] > 50)
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date == before)
    let error = #expect(throws: CorpusError.self) {
      try run(study(task, "test_loss", updates: 9, rates: [0.02]))
    }
    #expect(error?.code == .differentRecipe)
  }

  @Test func `a refused study leaves the rates that tuned the stored runs, and tunes nothing`() throws {
    let task = try Self.digits()
    _ = try run(study(task, "test_loss", rates: [0.02]))
    let path = temporary.path + "/out/adam-tuning.json"
    let before = try Data(contentsOf: URL(filePath: path))
    let trained = Mutex(0)
    #expect(throws: CorpusError.self) {
      try study(task, "test_loss", updates: 9, rates: [0.02])
        .run(cancellation: Cancellation()) { done, _ in trained.withLock { $0 = done } }
    }
    #expect(trained.withLock { $0 } == 0)
    let error = #expect(throws: CorpusError.self) { try run(study(task, "test_loss", rates: [0.05])) }
    #expect(error?.code == .differentRecipe)
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
  }

  @Test func `what was tried before a stop is kept, and going on gives the same`() throws {
    let task = try Self.digits()
    let whole = try run(study(task, "test_loss", rates: [0.001, 0.02]))
    let files = ["adam-tuning.json", "nesterov-tuning.json", "adam/runs/000/000002.h5"]
    func contents() throws -> [Data] {
      try files.map { try Data(contentsOf: URL(filePath: temporary.path + "/out/" + $0)) }
    }
    let expected = try contents()
    try FileManager.default.removeItem(atPath: temporary.path + "/out")
    for stop in [3, 5] {
      let cancellation = Cancellation()
      let error = #expect(throws: CorpusError.self) {
        try study(task, "test_loss", rates: [0.001, 0.02]).run(cancellation: cancellation) { done, _ in
          if done >= stop { cancellation.cancel() }
        }
      }
      #expect(error?.code == .interrupted)
      #expect(FileManager.default.fileExists(atPath: temporary.path + "/out/adam-tuning.json"))
    }
    let resumed = try run(study(task, "test_loss", rates: [0.001, 0.02]))
    #expect(resumed.map(\.median) == whole.map(\.median) && resumed.map(\.tried) == whole.map(\.tried))
    #expect(try contents() == expected)
  }

  @Test func `any number of workers trains the same networks`() throws {
    let task = try Self.digits()
    let two = try run(study(task, "test_loss", rates: [0.001, 0.02], workers: 2))
    try FileManager.default.removeItem(atPath: temporary.path + "/out")
    let one = try run(study(task, "test_loss", rates: [0.001, 0.02], workers: 1))
    #expect(one.map(\.median) == two.map(\.median) && one.map(\.tried) == two.map(\.tried))
  }

  @Test func `runs that a corpus has not are refused`() throws {
    let task = try Self.policies()
    let corpus = try CorpusRequest(task).open(temporary.path + "/corpus").directory
    _ = try GenerationJob(task: task, directory: corpus, seeds: 0..<2, workers: 1, codec: .delta)
      .run(cancellation: Cancellation()) { _ in }
    try study(task, "train_return", runs: [0, 1]).requireRuns(of: corpus)
    let error = #expect(throws: CorpusError.self) {
      try study(task, "train_return", runs: [1, 5]).requireRuns(of: corpus)
    }
    #expect(error?.code == .unknownRun)
  }

  @Test func `a rate that leads nowhere is not chosen, and without another it is said`() throws {
    let task = try Self.digits()
    let curves = try run(study(task, "test_loss", rates: [0.02, 1e3]))
    #expect(curves.allSatisfy { $0.learningRate == 0.02 })
    let error = #expect(throws: CorpusError.self) { try study(task, "train_accuracy") }
    #expect(error?.code == .cannotReplay && error?.remedy.contains("test_loss") == true)
  }

  @Test func `the first median that is as good as one step counts`() throws {
    let task = try Self.digits()
    let curves = try run(study(task, "test_loss", rates: [0.02]))
    let median = curves[0].median
    let comparison = OptimizerComparison(
      task, metric: .testLoss, starts: 3, curves: curves, oneStep: median[7])
    let first = try #require(median.firstIndex { $0 <= median[7] })
    #expect(comparison.optimizers[0].updatesToOneStep == first && comparison.differentiable)
    let none = OptimizerComparison(task, metric: .testError, starts: 3, curves: curves, oneStep: -1)
    #expect(none.optimizers[0].updatesToOneStep == nil && !none.differentiable)
  }
}
