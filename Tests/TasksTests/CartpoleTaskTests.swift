import Tasks
import CKernels
import Corpus
import Dispatch
import Synchronization
import Testing
import VectorKernels

/// A recipe that takes milliseconds.
func smallRecipe(iterations: Int = 20, checkpoints: Int = 5, environments: Int = 64) -> CartpoleRecipe {
  var recipe = CartpoleRecipe()
  recipe.environments = environments
  recipe.iterations = iterations
  recipe.checkpoints = checkpoints
  return recipe
}

@Suite struct CartpoleTaskTests {
  private func run(_ recipe: CartpoleRecipe, seed: Int64, kernels: String? = nil) throws -> Run {
    let table = try kernels.map(Kernels.init(named:)) ?? Kernels(environment: [:])
    return try #require(
      try CartpoleTask(recipe, kernels: table).generate(seed: seed, isCancelled: { false }))
  }

  @Test func `makes a run`() throws {
    let task = try CartpoleTask(smallRecipe())
    let run = try run(smallRecipe(), seed: 7)
    #expect(task.architecture.parameterCount == 1250)
    #expect(task.name == "cartpole")
    #expect(task.metrics == [.trainReturn])
    #expect(run.count == task.checkpointsPerRun)
    #expect(run.parameterCount == 1250)
    #expect(run.seed == 7)
    #expect(run.status == .ok)
    #expect(run.iterations.first == 0 && run.iterations.last == 20)
    #expect(run.metrics.count == 1 && run.metrics[0].allSatisfy { $0.isFinite })
  }

  /// Every path that this processor has, over a run so small that plain C with emulated fused
  /// multiplication does it in a moment.
  @Test func `every path makes the same run`() throws {
    var recipe = smallRecipe(iterations: 3, checkpoints: 4, environments: 32)
    recipe.rolloutSteps = 4
    recipe.epochs = 2
    let paths = Kernels.names.filter { ck_kernels_named($0) != nil }
    let runs = try paths.map { try run(recipe, seed: 3, kernels: $0) }
    for other in runs.dropFirst() { #expect(other == runs[0]) }
  }

  @Test func `the fast paths make the same longer run`() throws {
    let paths = (["avx512", "avx2"] as [String]).filter { ck_kernels_named($0) != nil }
    let runs = try paths.map { try run(smallRecipe(iterations: 60), seed: 3, kernels: $0) }
    for other in runs.dropFirst() { #expect(other == runs[0]) }
  }

  /// Runs on several threads at once are what they are alone.
  @Test func `threads do not interact`() throws {
    let recipe = smallRecipe()
    let alone = try (0..<4).map { try run(recipe, seed: $0) }
    let together = Mutex<[Int64: Run]>([:])
    let task = try CartpoleTask(recipe, kernels: Kernels(environment: [:]))
    DispatchQueue.concurrentPerform(iterations: 4) { i in
      let run = try? task.generate(seed: Int64(i), isCancelled: { false })
      together.withLock { $0[Int64(i)] = run }
    }
    let runs = together.withLock { $0 }
    for run in alone { #expect(runs[run.seed] == run) }
    #expect(Set(alone.map(\.parameters)).count == 4)
  }

  @Test func `seeds are any integer`() throws {
    let recipe = smallRecipe(iterations: 2, checkpoints: 2)
    let runs = try [Int64.min, -1, 0, 1, 1 << 32, .max].map { try run(recipe, seed: $0) }
    #expect(Set(runs.map(\.parameters)).count == runs.count)
  }

  @Test func `cancels`() throws {
    let task = try CartpoleTask(smallRecipe())
    #expect(try task.generate(seed: 0, isCancelled: { true }) == nil)
    let polls = Atomic(0)
    let run = try task.generate(seed: 0, isCancelled: { polls.add(1, ordering: .relaxed).newValue > 10 })
    #expect(run == nil)
    #expect(polls.load(ordering: .relaxed) == 11)
  }

  /// The checkpoint does not depend on which others are taken.
  @Test func `checkpoints are states of one training`() throws {
    let few = try run(smallRecipe(checkpoints: 2), seed: 5)
    let all = try run(smallRecipe(checkpoints: 21), seed: 5)
    #expect(all.iterations == Array(0...20))
    #expect(few.parameters == Array(all.parameters.prefix(1250)) + Array(all.parameters.suffix(1250)))
    #expect(few.metrics[0] == [all.metrics[0][0], all.metrics[0][20]])
  }

  @Test func `learns`() throws {
    let run = try run(smallRecipe(iterations: 60, environments: 256), seed: 1)
    let first = run.metrics[0][0]
    let last = try #require(run.metrics[0].last)
    // A falling pole is worth about 8; PyTorch's runs reach 40 to 55 after as many samples.
    #expect(first > 4 && first < 12)
    #expect(last > 25)
  }

  @Test func `the initial policy is the recipe's`() throws {
    var recipe = smallRecipe(iterations: 1, checkpoints: 2)
    recipe.initialLogStd = -0.5
    let run = try run(recipe, seed: 9)
    let architecture = try CartpoleTask(recipe).architecture
    func tensor(_ name: String) throws -> ArraySlice<Float> {
      run.parameters[try #require(architecture.range(of: name))]
    }
    #expect(try tensor("log_std") == [-0.5])
    let output = try tensor("actor.4.weight").reduce(0) { $0 + Double($1) * Double($1) }
    #expect(abs(output.squareRoot() - 0.01) < 1e-8)
  }

  @Test func `names kernels that are not there`() throws {
    #expect(throws: CorpusError.self) { try Kernels(environment: ["CORPUS_KERNELS": "avx1024"]) }
    #expect(throws: CorpusError.self) { try Kernels(environment: ["CORPUS_KERNELS": ""]) }
    #expect(try Kernels(environment: ["CORPUS_KERNELS": "portable"]).name == "portable")
  }
}
