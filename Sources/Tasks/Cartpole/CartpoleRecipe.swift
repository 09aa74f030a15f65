/// Everything that determines a Cartpole run but its seed; the defaults are the published numbers
/// (Schemas/reference.md, section 3). In JSON the names are in snake case.
public struct CartpoleRecipe: Codable, Hashable, Sendable, ScheduledRecipe {
  package static let displayName = "Cartpole"

  /// Environments that run side by side, a multiple of 16.
  public var environments = 512
  /// Rounds of a rollout and an update.
  public var iterations = 500
  /// Steps of every environment in a rollout.
  public var rolloutSteps = 16
  /// Passes over a rollout in an update.
  public var epochs = 8
  /// Equal parts of a rollout, in its order, each of which gives one optimizer step.
  public var minibatches = 2
  /// Checkpoints of a run: the initial policy, the last one and those between that ``schedule`` chooses.
  public var checkpoints = 200
  /// Which iterations are kept; nil for the published rule, ``CheckpointRule/uniform``.
  public var schedule: CheckpointRule?
  /// The name of the metric over which ``CheckpointRule/metric`` spreads; nil for `train_return`, and for the other rules.
  public var scheduleMetric: String?
  /// The number of last finished episodes whose mean return is `train_return`.
  public var returnWindow = 200
  /// Fresh episodes by which each checkpoint is measured for the metric `eval_return`, a multiple of 16; nil, as
  /// published, for no such metric.
  public var evaluationEpisodes: Int?

  /// The clip coefficient: how far from 1 the ratio of new to old probability still has a gradient.
  public var clip = 0.2
  /// The discount of rewards for each step that they come later.
  public var gamma = 0.99
  /// The decay of generalized advantage estimation.
  public var lambda = 0.95
  /// The weight of the value function's loss.
  public var valueCoefficient = 2.0

  /// Adam's rate at the beginning; it falls to 0 by a cosine, over all epochs of ``decayIterations``.
  public var learningRate = 3e-4
  /// The iterations over which the rate falls, at least ``iterations``: with more of them, a run is the beginning of a
  /// longer one. nil for ``iterations``.
  public var decayIterations: Int?
  public var adamBeta1 = 0.9
  public var adamBeta2 = 0.999
  public var adamEpsilon = 1e-8
  /// The norm to which the gradient of policy and value function together is scaled down.
  public var gradientNormLimit = 2.0

  /// The initial log_std; the policy's standard deviation is exp(log_std)^2.
  public var initialLogStd = 0.0
  /// The gain of the orthogonal weights of both hidden layers, sqrt 2.
  public var hiddenGain = 1.4142135623730951
  /// The gain of the policy's output layer.
  public var policyGain = 0.01
  /// The gain of the value function's output layer.
  public var valueGain = 1.0
  /// How biases begin; nil, as in the recipes of generator version 1, is ``BiasInitialization/zero``.
  public var biasInitialization: BiasInitialization? = .default

  public var physics = CartpolePhysics()

  public init() {}

  /// The values that the biases of policy and value function begin with.
  public enum BiasInitialization: String, Codable, Sendable, CaseIterable {
    /// PyTorch's default, which the published recipe leaves as it is: uniform within 1 / sqrt(inputs of the layer).
    case `default`
    /// What generator version 1 did.
    case zero
  }

  enum CodingKeys: String, CodingKey {
    case environments, iterations, epochs, minibatches, checkpoints, schedule, clip, gamma, lambda, physics
    case scheduleMetric = "schedule_metric"
    case rolloutSteps = "rollout_steps"
    case returnWindow = "return_window"
    case evaluationEpisodes = "evaluation_episodes"
    case decayIterations = "decay_iterations"
    case valueCoefficient = "value_coefficient"
    case learningRate = "learning_rate"
    case adamBeta1 = "adam_beta1"
    case adamBeta2 = "adam_beta2"
    case adamEpsilon = "adam_epsilon"
    case gradientNormLimit = "gradient_norm_limit"
    case initialLogStd = "initial_log_std"
    case hiddenGain = "hidden_gain"
    case policyGain = "policy_gain"
    case valueGain = "value_gain"
    case biasInitialization = "bias_initialization"
  }
}

/// The mechanism and its rewards: a cart on a rail with a hinged pole, a uniform box. kg, m, s, rad, N.
public struct CartpolePhysics: Codable, Hashable, Sendable {
  public var cartMass = 1.0
  public var poleMass = 1.0
  public var poleLength = 1.0
  public var poleWidth = 0.06
  /// From the hinge to the pole's centre of mass.
  public var poleCenter = 0.47
  public var gravity = 9.81
  /// The force on the cart for an action of 1, the largest.
  public var force = 400.0
  public var timeStep = 0.0166
  /// Equal parts of a time step, each integrated by semi-implicit Euler.
  public var substeps = 2
  public var cartSpeedLimit = 100.0
  public var poleSpeedLimit = 8.0

  /// Observations are clipped to plus and minus this.
  public var observationLimit = 5.0
  /// A new episode's cart position and pole angle are uniform within plus and minus this.
  public var resetPosition = 0.1
  /// A new episode's cart velocity and angular velocity are uniform within plus and minus this.
  public var resetVelocity = 0.25
  /// The cart's distance from the centre beyond which the episode ends.
  public var positionLimit = 3.0
  /// The pole's angle from upright beyond which the episode ends, pi / 2.
  public var angleLimit = 1.5707963267948966
  /// The steps after which an episode ends anyway.
  public var episodeSteps = 499

  /// What a step's reward, 1 - angle^2, loses for each m/s of the cart's speed.
  public var cartSpeedPenalty = 0.01
  /// What a step's reward loses for each rad/s of the pole's speed.
  public var poleSpeedPenalty = 0.005
  /// The whole reward of a step that ends the episode by a limit.
  public var fallReward = -2.0

  public init() {}

  enum CodingKeys: String, CodingKey {
    case gravity, force, substeps
    case cartMass = "cart_mass"
    case poleMass = "pole_mass"
    case poleLength = "pole_length"
    case poleWidth = "pole_width"
    case poleCenter = "pole_center"
    case timeStep = "time_step"
    case cartSpeedLimit = "cart_speed_limit"
    case poleSpeedLimit = "pole_speed_limit"
    case observationLimit = "observation_limit"
    case resetPosition = "reset_position"
    case resetVelocity = "reset_velocity"
    case positionLimit = "position_limit"
    case angleLimit = "angle_limit"
    case episodeSteps = "episode_steps"
    case cartSpeedPenalty = "cart_speed_penalty"
    case poleSpeedPenalty = "pole_speed_penalty"
    case fallReward = "fall_reward"
  }
}
