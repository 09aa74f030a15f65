import Tasks
import Corpus
import Testing
import VectorKernels

/// A short run beside the published rules in Double; with any one of them broken, the two part.
@Suite struct CartpoleRuleTests {
  /// The published recipe but for its size, a rate at which ratios leave the clip's limits, and episodes short enough
  /// for some to end by their time.
  static let recipe: CartpoleRecipe = {
    var recipe = CartpoleRecipe()
    recipe.environments = 16
    recipe.iterations = 3
    recipe.checkpoints = 4
    recipe.epochs = 2
    recipe.learningRate = 5e-3
    recipe.returnWindow = 20
    recipe.physics.episodeSteps = 14
    return recipe
  }()

  static let run = Result {
    try #require(
      try CartpoleTask(recipe, kernels: Kernels(environment: [:])).generate(
        seed: 5, isCancelled: { false }))
  }

  /// How far the run is from the naive one: as shares, in parameters of what they moved by since the beginning (or of
  /// what they are, in the first checkpoint), and in returns.
  private func distance(
    breaking rule: NaivePPO.Rule? = nil, environment: NaiveCartpole.Rule? = nil
  ) throws -> Double {
    let run = try Self.run.get()
    #expect(run.count == 4)
    var naive = try NaivePPO(Self.recipe, seed: 5, breaking: rule, environment: environment)
    let start = run.parameters.prefix(1250).map(Double.init)
    var largest = 0.0
    for checkpoint in 0..<4 {
      if checkpoint > 0 { naive.iterate() }
      let stored = run.parameters[(1250 * checkpoint)..<(1250 * (checkpoint + 1))].map(Double.init)
      func norm(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      }
      let scale = checkpoint == 0 ? norm(stored, [Double](repeating: 0, count: 1250)) : norm(stored, start)
      largest = max(largest, norm(stored, naive.parameters) / scale)
      largest = max(largest, abs(Double(run.metrics[0][checkpoint]) / naive.trainReturn - 1))
    }
    return largest
  }

  @Test func `a run follows the published rules in Double`() throws {
    let distance = try distance()
    #expect(distance < 1e-4, "\(distance)")
  }

  @Test(arguments: NaivePPO.Rule.allCases) func `a broken rule of training is noticed`(rule: NaivePPO.Rule)
    throws
  {
    let distance = try distance(breaking: rule)
    #expect(distance > 3e-3, "\(distance)")
  }

  @Test(arguments: NaiveCartpole.Rule.allCases)
  func `a broken rule of the environment is noticed`(rule: NaiveCartpole.Rule) throws {
    let distance = try distance(environment: rule)
    #expect(distance > 3e-3, "\(distance)")
  }
}
