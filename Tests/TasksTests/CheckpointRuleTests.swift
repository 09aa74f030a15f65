import Tasks
import CKernels
import Corpus
import Datasets
import Foundation
import Testing
import VectorKernels

@Suite struct LogarithmicScheduleTests {
  private func draw(_ count: Int, _ last: Int, seed: UInt64) -> [Int32] {
    var random = PhiloxGenerator(seed: seed)
    return CheckpointSchedule.logarithmic(count: count, last: last, random: &random)
  }

  @Test func `is sorted and distinct with both ends`() {
    expectBothEnds { draw($0, $1, seed: $2) }
  }

  /// What Schemas/reference.md says, word by word.
  @Test func `is what its description says`() {
    for (count, last) in [(2, 1), (3, 2), (30, 64), (200, 501), (801, 800), (800, 11_700)] {
      for seed in 0..<3 as Range<UInt64> {
        var random = PhiloxGenerator(seed: seed)
        var weights = (1..<max(1, last)).map { (1 << 40) / UInt64($0) }
        var chosen: [Int32] = [0, Int32(last)]
        while chosen.count < count {
          let number = random.next().multipliedFullWidth(by: weights.reduce(0, +)).high
          var sum: UInt64 = 0
          for index in weights.indices {
            sum += weights[index]
            if sum > number {
              chosen.append(Int32(index + 1))
              weights[index] = 0
              break
            }
          }
        }
        #expect(draw(count, last, seed: seed) == chosen.sorted())
      }
    }
  }

  @Test func `draws each iteration as often as its inverse says`() {
    var counts = [Double](repeating: 0, count: 100)
    let draws = 40_000
    for seed in 0..<UInt64(draws) { counts[Int(draw(3, 100, seed: seed)[1])] += 1 }
    let harmonic = (1..<100).reduce(0) { $0 + 1 / Double($1) }
    for iteration in 1..<100 {
      let expected = Double(draws) / (Double(iteration) * harmonic)
      #expect(abs(counts[iteration] - expected) < 5 * expected.squareRoot())
    }
  }
}

@Suite struct SpreadTests {
  @Test func `takes the ends, and then what is farthest from all that it has`() {
    //            0  1  2  3  4  5  6
    let values: [Float] = [9, 8, 7, 3, 2, 1, 1]
    #expect(CheckpointSchedule.spread(count: 2, over: values) == [0, 6])
    // 3 is 6 from 9 and 2 from 1; 7 is 2 from 9 and 6 from 1: what is farthest from both is neither.
    #expect(CheckpointSchedule.spread(count: 3, over: values) == [0, 2, 6])
    #expect(CheckpointSchedule.spread(count: 4, over: values) == [0, 2, 3, 6])
    #expect(CheckpointSchedule.spread(count: 6, over: values) == [0, 1, 2, 3, 4, 6])
    #expect(CheckpointSchedule.spread(count: 7, over: values) == Array(0..<7))
  }

  @Test func `takes the earliest of what is equally far, and what is not finite at last`() {
    #expect(CheckpointSchedule.spread(count: 3, over: [0, 1, 1, 1, 0]) == [0, 1, 4])
    #expect(CheckpointSchedule.spread(count: 4, over: [1, .nan, .infinity, 1, 1, 1]) == [0, 3, 4, 5])
    #expect(CheckpointSchedule.spread(count: 5, over: [1, .nan, .infinity, 1, 1, 1]) == [0, 1, 3, 4, 5])
    #expect(CheckpointSchedule.spread(count: 3, over: [.nan, 5, 6, .nan]) == [0, 1, 3])
    #expect(CheckpointSchedule.spread(count: 4, over: [.nan, .nan, .nan, -.infinity]) == [0, 1, 2, 3])
  }

  /// A fall that slows down: even in iterations, nearly all values lie at its foot.
  @Test func `is even over the values where there are any`() {
    let values = (0...800).map { Float(exp(-Double($0) / 100)) }
    let kept = CheckpointSchedule.spread(count: 101, over: values).map { values[$0] }
    #expect(kept.count == 101)
    for tenth in 0..<10 {
      let (low, high) = (Float(tenth) / 10, Float(tenth + 1) / 10)
      // 1 to 2 gaps of the smallest size each.
      #expect((6...14).contains(kept.filter { low <= $0 && $0 < high }.count))
    }
    #expect(values.filter { $0 < 0.1 }.count > 500)
  }
}

/// The rules in the tasks' recipes and runs.
@Suite struct CheckpointRuleTests {
  private static let digits = Result { try ImageDataset.syntheticDigits(train: 640, test: 100) }
  private static let textures = Result { try ImageDataset.syntheticTextures(train: 80, test: 50) }
  static let taskNames = ["cartpole", "mnist", "cifar10"]

  /// A task of 20 iterations and more, with as many checkpoints as are asked for.
  private func task(
    _ taskName: String, _ checkpoints: Int, _ rule: CheckpointRule? = nil, _ metric: String? = nil,
    kernels: Kernels? = nil
  ) throws -> any TrainingTask {
    let kernels = try kernels ?? Kernels(environment: [:])
    switch taskName {
    case "cartpole":
      var recipe = smallRecipe(iterations: 20, checkpoints: checkpoints, environments: 16)
      (recipe.schedule, recipe.scheduleMetric) = (rule, metric)
      return try CartpoleTask(recipe, kernels: kernels)
    case "mnist":
      var recipe = MNISTRecipe(dataset: try Self.digits.get().identity)
      (recipe.batchSize, recipe.epochs, recipe.checkpoints) = (64, 2, checkpoints)
      (recipe.schedule, recipe.scheduleMetric) = (rule, metric)
      return try MNISTTask(recipe, dataset: Self.digits.get(), kernels: kernels)
    default:
      var recipe = CIFAR10Recipe(dataset: try Self.textures.get().identity)
      (recipe.batchSize, recipe.epochs, recipe.checkpoints) = (8, 2, checkpoints)
      (recipe.schedule, recipe.scheduleMetric) = (rule, metric)
      return try CIFAR10Task(recipe, dataset: Self.textures.get(), kernels: kernels)
    }
  }

  private func run(_ task: any TrainingTask) throws -> Run {
    try #require(try task.generate(seed: 3, isCancelled: { false }))
  }

  /// Checks that a run's checkpoints are some of those of the run that keeps all.
  private func expect(_ run: Run, within all: Run) {
    for (index, iteration) in run.iterations.enumerated() {
      let at = Int(iteration)
      #expect(all.iterations[at] == iteration)
      #expect(run.metrics.map { $0[index] } == all.metrics.map { $0[at] })
      let size = run.parameterCount
      #expect(
        run.parameters[(index * size)..<((index + 1) * size)]
          == all.parameters[(at * size)..<((at + 1) * size)])
    }
  }

  @Test(arguments: taskNames) func `decide which checkpoints are kept, and nothing else`(taskName: String)
    throws
  {
    let all = try run(task(taskName, 21))
    #expect(all.iterations == Array(0...20))
    let metric = try #require(try task(taskName, 21).metrics.last).name
    for (rule, name) in [(nil, nil), (.log, nil), (.metric, nil), (.metric, metric)]
      as [(CheckpointRule?, String?)]
    {
      let run = try run(task(taskName, 7, rule, name))
      #expect(run.count == 7 && run.iterations.first == 0 && run.iterations.last == 20)
      expect(run, within: all)
    }
  }

  /// With 4 times as many candidates as iterations, all of them are looked at.
  @Test(arguments: taskNames) func `spread over a metric what training goes through`(taskName: String) throws
  {
    let all = try run(task(taskName, 21))
    let metrics = try task(taskName, 21).metrics
    for (index, metric) in metrics.enumerated() {
      let kept = try run(task(taskName, 7, .metric, metric.name)).iterations
      #expect(kept == CheckpointSchedule.spread(count: 7, over: all.metrics[index]).map(Int32.init))
    }
    let usual = taskName == "cartpole" ? "train_return" : "test_loss"
    #expect(try run(task(taskName, 7, .metric)) == run(task(taskName, 7, .metric, usual)))
  }

  @Test func `choose among candidates where there are many iterations`() throws {
    var random = PhiloxGenerator(seed: 3, stream: 1)
    let candidates = CheckpointSchedule.logarithmic(count: 12, last: 20, random: &random)
    let all = try run(task("mnist", 21))
    let losses = candidates.map { all.metrics[2][Int($0)] }
    let indices = CheckpointSchedule.spread(count: 3, over: losses)
    #expect(try run(task("mnist", 3, .metric)).iterations == indices.map { candidates[$0] })
  }

  @Test(arguments: taskNames) func `keep the same on every path`(taskName: String) throws {
    let paths = Kernels.names.filter { ck_kernels_named($0) != nil }
    for rule in [CheckpointRule.log, .metric] {
      let runs = try paths.map { try run(task(taskName, 5, rule, kernels: Kernels(named: $0))) }
      for other in runs.dropFirst() { #expect(other == runs[0]) }
    }
  }

  @Test(arguments: taskNames) func `are recorded in one spelling`(taskName: String) throws {
    let published = try task(taskName, 7).recipe
    #expect(published["schedule"] == nil && published["schedule_metric"] == nil)
    #expect(try task(taskName, 7, .uniform).recipe == published)
    #expect(try task(taskName, 7, .log).recipe["schedule"] == .string("log"))
    let usual = taskName == "cartpole" ? "train_return" : "test_loss"
    let spread = try task(taskName, 7, .metric).recipe
    #expect(spread["schedule"] == .string("metric") && spread["schedule_metric"] == .string(usual))
    #expect(try task(taskName, 7, .metric, usual).recipe == spread)
    // And read back.
    let type = try #require(Tasks.all.first { $0.name == taskName })
    for rule in [nil, .log, .metric] as [CheckpointRule?] {
      let recipe = try task(taskName, 7, rule).recipe
      #expect(try type.init(recipe: recipe, datasets: DatasetsDirectory("none")).recipe == recipe)
    }
  }

  @Test(arguments: taskNames) func `refuse a metric that the task does not log`(taskName: String) throws {
    let foreign = taskName == "cartpole" ? "test_loss" : "train_return"
    var error = #expect(throws: CorpusError.self) { try task(taskName, 7, .metric, foreign) }
    #expect(error?.code == .invalidRecipe)
    #expect(error?.message.contains("\(foreign), which task \(taskName) does not log") == true)
    #expect(try error?.remedy.contains(#require(try task(taskName, 7).metrics.last).name) == true)
    for rule in [nil, .uniform, .log] as [CheckpointRule?] {
      error = #expect(throws: CorpusError.self) { try task(taskName, 7, rule, "test_loss") }
      #expect(error?.code == .invalidRecipe && error?.message.contains("asks for no metric") == true)
    }
  }

  @Test func `refuse what is no rule`() throws {
    guard case .object(var members) = try task("cartpole", 7, .log).recipe else { return }
    members["schedule"] = .string("often")
    let error = #expect(throws: CorpusError.self) {
      try CartpoleTask(recipe: .object(members), datasets: DatasetsDirectory("none"))
    }
    #expect(error?.code == .invalidRecipe && error?.message.contains("`schedule`") == true)
  }
}
