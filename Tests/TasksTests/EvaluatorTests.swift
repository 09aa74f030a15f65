import Platform
import Tasks
import CKernels
import Corpus
import Datasets
import Foundation
import Testing
import VectorKernels

@Suite struct EvaluatorTests {
  private static let digits = Result { try ImageDataset.syntheticDigits(train: 128, test: 100) }

  private func mnist(kernels: String? = nil) throws -> MNISTTask {
    var recipe = MNISTRecipe(dataset: try Self.digits.get().identity)
    recipe.batchSize = 64
    recipe.epochs = 3
    recipe.checkpoints = 6
    let table = try kernels.map(Kernels.init(named:)) ?? Kernels(environment: [:])
    return try MNISTTask(recipe, dataset: Self.digits.get(), kernels: table)
  }

  private func cifar10(kernels: String? = nil) throws -> CIFAR10Task {
    let table = try kernels.map(Kernels.init(named:)) ?? Kernels(environment: [:])
    return try CIFAR10Task(
      CIFAR10TaskTests.recipe(), dataset: CIFAR10TaskTests.images.get(), kernels: table)
  }

  /// The recorded test metrics of a run, a row for each checkpoint.
  private func recorded(_ run: Run, _ task: some Evaluator) -> [[Float]] {
    let columns = task.evaluatedMetrics.map { metric in
      run.metrics[task.metrics.firstIndex(of: metric) ?? 0]
    }
    return (0..<run.count).map { step in columns.map { $0[step] } }
  }

  @Test func `gives what checkpoints record`() throws {
    for task in [try mnist(), try cifar10()] as [any Evaluator] {
      let run = try #require(try task.generate(seed: 5, isCancelled: { false }))
      let values = try task.evaluate(parameters: run.parameters)
      #expect(task.evaluatedMetrics == [.testLoss, .testError])
      #expect(values == recorded(run, task), "\(task.name)")
    }
  }

  @Test func `gives what initial policies record`() throws {
    let task = try CartpoleTask(smallRecipe(iterations: 2, checkpoints: 2, environments: 256))
    for seed in [0, 9] as [Int64] {
      let run = try #require(try task.generate(seed: seed, isCancelled: { false }))
      let values = try task.evaluate(parameters: run.parameters, seed: UInt64(seed))
      #expect(values[0] == [run.metrics[0][0]])
      #expect(values[1] != values[0])
    }
  }

  /// Made-up networks.
  private func networks(_ count: Int, of task: some Evaluator) -> [Float] {
    var random = PhiloxGenerator(seed: 3)
    return (0..<(count * task.architecture.parameterCount)).map { _ in 0.4 * random.uniform() - 0.2 }
  }

  @Test func `workers and paths do not matter`() throws {
    var results: [String: [[Float]]] = [:]
    for name in Kernels.names where ck_kernels_named(name) != nil {
      let cartpole = try CartpoleTask(smallRecipe(), kernels: Kernels(named: name))
      for task in [try mnist(kernels: name), try cifar10(kernels: name), cartpole] as [any Evaluator] {
        let networks = networks(5, of: task)
        for workers in [1, 4] {
          let values = try task.evaluate(parameters: networks, seed: 1, workers: workers)
          #expect(values.count == 5 && Set(values).count == 5)
          #expect(results[task.name, default: values] == values)
          results[task.name] = values
        }
      }
    }
    #expect(results.count == 3)
  }

  @Test func `networks that are no numbers get NaN`() throws {
    for task in [try mnist(), try cifar10(), try CartpoleTask(smallRecipe())] as [any Evaluator] {
      let network = [Float](repeating: .nan, count: task.architecture.parameterCount)
      let values = try task.evaluate(parameters: network)
      #expect(values[0][0].bitPattern == Float.nan.bitPattern, "\(task.name)")
    }
  }

  @Test func `Cartpole's seed chooses the episodes`() throws {
    let task = try CartpoleTask(smallRecipe())
    let network = networks(1, of: task)
    let values = try (0..<3).map { try task.evaluate(parameters: network, seed: $0) }
    #expect(Set(values).count == 3)
    #expect(try task.evaluate(parameters: network, seed: 0) == values[0])
  }

  @Test func `refuses what is no network`() throws {
    let task = try CartpoleTask(smallRecipe())
    let error = #expect(throws: CorpusError.self) {
      try task.evaluate(parameters: [Float](repeating: 0, count: 1251))
    }
    #expect(error?.code == .invalidArgument)
    #expect(try task.evaluate(parameters: []) == [])
  }

  @Test func `cancels`() throws {
    let task = try CartpoleTask(smallRecipe())
    let cancellation = Cancellation()
    let error = #expect(throws: CorpusError.self) {
      try task.evaluate(count: 1_000_000, workers: 2, cancellation: cancellation) { number in
        if number == 3 { cancellation.cancel() }
        return [Float](repeating: 0, count: 1250)
      }
    }
    #expect(error?.code == .interrupted)
  }

  @Test func `finds the evaluator of a task`() throws {
    let nowhere = DatasetsDirectory("/nowhere")
    let cartpole = try Tasks.evaluator(task: "cartpole", recipe: nil, datasets: nowhere)
    #expect(cartpole.recipe == (try CartpoleTask().recipe))
    let small = try CartpoleTask(smallRecipe()).recipe
    #expect(try Tasks.evaluator(task: "cartpole", recipe: small, datasets: nowhere).recipe == small)
    for (task, recipe, code) in [
      ("mnist", nil, .missingDataset), ("cifar10", nil, .missingDataset), ("chess", nil, .cannotReplay),
      ("cartpole", .object([:]), .invalidRecipe), ("mnist", .null, .invalidRecipe),
    ] as [(String, JSONValue?, CorpusError.Code)] {
      let error = #expect(throws: CorpusError.self) {
        try Tasks.evaluator(task: task, recipe: recipe, datasets: nowhere)
      }
      #expect(error?.code == code, "\(task)")
    }
  }

  /// The real images, in the folder that CORPUS_DATASETS names.
  @Test(
    .enabled(
      if: ["mnist", "cifar10"].allSatisfy {
        FileManager.default.fileExists(atPath: DatasetsDirectory().path + "/" + $0)
      }))
  func givesWhatCheckpointsRecordOnTheRealImages() throws {
    var recipe = MNISTRecipe(dataset: try ImageDataset.mnist(in: DatasetsDirectory()).identity)
    (recipe.epochs, recipe.checkpoints) = (1, 3)
    let mnist = try MNISTTask(
      recipe: CanonicalJSON.value(recipe), datasets: DatasetsDirectory())
    let run = try #require(try mnist.generate(seed: 1, isCancelled: { false }))
    let published = try Tasks.evaluator(task: "mnist", recipe: nil, datasets: DatasetsDirectory())
    #expect(try published.evaluate(parameters: run.parameters) == recorded(run, mnist))
    let cifar10 = try Tasks.evaluator(task: "cifar10", recipe: nil, datasets: DatasetsDirectory())
    let chance = try cifar10.evaluate(
      parameters: [Float](repeating: 0, count: cifar10.architecture.parameterCount))
    #expect(abs(chance[0][0] - Float(2.302585)) < 1e-5 && chance[0][1] == 90)
  }
}
