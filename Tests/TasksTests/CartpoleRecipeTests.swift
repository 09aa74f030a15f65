import Tasks
import Corpus
import Foundation
import Testing

@Suite struct CartpoleRecipeTests {
  @Test func `the published recipe is valid`() throws {
    try CartpoleRecipe().validate()
  }

  @Test func `survives JSON`() throws {
    var recipe = CartpoleRecipe()
    recipe.learningRate = 1e-3
    recipe.physics.gravity = 1.62
    let data = try CanonicalJSON.data(recipe, pretty: true)
    #expect(try CanonicalJSON.decode(CartpoleRecipe.self, from: data) == recipe)
  }

  @Test func `names are in snake case`() throws {
    let json = try CartpoleTask().recipe
    #expect(json["learning_rate"] == .number(3e-4))
    #expect(json["environments"] == .number(512))
    #expect(json["physics"]?["time_step"] == .number(0.0166))
    for part in [json, json["physics"]] {
      guard case .object(let members) = try #require(part) else {
        Issue.record("not an object")
        continue
      }
      #expect(members.keys.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber } })
    }
  }

  static let impossible: [(String, @Sendable (inout CartpoleRecipe) -> Void)] = [
    ("environments", { $0.environments = 0 }),
    ("environments", { $0.environments = 100 }),
    ("iterations", { $0.iterations = 0 }),
    ("rollout_steps", { $0.rolloutSteps = -1 }),
    ("epochs", { $0.epochs = 0 }),
    ("minibatches", { $0.minibatches = 0 }),
    ("minibatches", { $0.minibatches = 3 }),
    ("minibatches", { $0.minibatches = 1024 }),
    ("checkpoints", { $0.checkpoints = 1 }),
    ("checkpoints", { $0.checkpoints = 502 }),
    ("return_window", { $0.returnWindow = 0 }),
    ("evaluation_episodes", { $0.evaluationEpisodes = 100 }),
    ("evaluation_episodes", { $0.evaluationEpisodes = 0 }),
    ("decay_iterations", { $0.decayIterations = 499 }),
    ("clip", { $0.clip = 0 }),
    ("gamma", { $0.gamma = 1.1 }),
    ("lambda", { $0.lambda = .nan }),
    ("value_coefficient", { $0.valueCoefficient = -1 }),
    ("learning_rate", { $0.learningRate = .infinity }),
    ("adam_beta1", { $0.adamBeta1 = 1 }),
    ("gradient_norm_limit", { $0.gradientNormLimit = .nan }),
    ("initial_log_std", { $0.initialLogStd = 100 }),
    ("pole_mass", { $0.physics.poleMass = 0 }),
    ("reset_velocity", { $0.physics.resetVelocity = -0.1 }),
    ("substeps", { $0.physics.substeps = 0 }),
    ("episode_steps", { $0.physics.episodeSteps = 0 }),
    ("fall_reward", { $0.physics.fallReward = .nan }),
  ]

  @Test(arguments: impossible.indices) func `rejects what cannot be`(index: Int) {
    let (name, change) = Self.impossible[index]
    var recipe = CartpoleRecipe()
    change(&recipe)
    let error = #expect(throws: CorpusError.self) { try CartpoleTask(recipe) }
    #expect(error?.code == .invalidRecipe)
    #expect(error?.message.contains("`\(name)`") == true)
  }
}
