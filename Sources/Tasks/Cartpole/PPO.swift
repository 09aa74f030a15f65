internal import CKernels
import VectorKernels

/// One run of proximal policy optimization (Schulman et al., arXiv 1707.06347), in the order of CleanRL's `ppo.py`: a
/// rollout, generalized advantage estimation, and epochs of minibatches. `body_ppo.h` has the arithmetic.
struct PPO: ~Copyable {
  private let recipe: CartpoleRecipe
  private let kernels: Kernels
  private let seed: UInt64
  private var agent: ActorCritic
  private var environments: CartpoleEnvironment
  private let rollout: Rollout
  private let learningRate: CosineDecay
  private var recentReturns: EpisodeWindow
  /// The iterations done.
  private(set) var iteration = 0
  /// The metric `train_return` of the present policy.
  private(set) var trainReturn: Float

  init(recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64) {
    self.recipe = recipe
    self.kernels = kernels
    self.seed = seed
    agent = ActorCritic(recipe: recipe, kernels: kernels, seed: seed)
    environments = CartpoleEnvironment(
      count: recipe.environments, physics: recipe.physics, kernels: kernels, seed: seed, stream: .resets)
    rollout = Rollout(steps: recipe.rolloutSteps, environments: recipe.environments)
    learningRate = CosineDecay(
      base: recipe.learningRate, epochs: (recipe.decayIterations ?? recipe.iterations) * recipe.epochs)
    recentReturns = EpisodeWindow(capacity: recipe.returnWindow)
    let returns = Self.firstEpisodes(&agent, recipe: recipe, kernels: kernels, seed: seed)
    for value in returns { recentReturns.append(value) }
    trainReturn = EpisodeWindow.mean(returns)
  }

  /// The stored parameters of the present policy: log_std, then its network.
  var parameters: UnsafeBufferPointer<Float> { agent.policyParameters }

  /// One iteration: a rollout of all environments, then `epochs` passes over it in `minibatches` parts.
  mutating func iterate() {
    collectRollout()
    estimateAdvantages()
    let minibatchSize = rollout.count / recipe.minibatches
    for epoch in 0..<recipe.epochs {
      let rate = learningRate.rate(epoch: iteration * recipe.epochs + epoch)
      for start in stride(from: 0, to: rollout.count, by: minibatchSize) {
        agent.update(on: rollout, minibatch: start..<(start + minibatchSize), learningRate: rate)
      }
    }
    iteration += 1
  }

  /// Lets the policy act for `rollout_steps`; episodes go on from one rollout to the next.
  private mutating func collectRollout() {
    var recentReturns = recentReturns
    environments.observe(into: rollout.observations.base)
    for t in 0..<rollout.steps {
      agent.act(
        at: t, of: rollout, in: &environments, seed: seed, stream: .actions,
        noiseStep: iteration * rollout.steps + t
      ) { _, episodeReturn in recentReturns.append(episodeReturn) }
    }
    self.recentReturns = recentReturns
    trainReturn = recentReturns.mean
  }

  /// Generalized advantage estimation (arXiv 1506.02438), bootstrapped from the states that the rollout reaches, and
  /// the returns that the value function should have foretold. Advantages are normalized over the whole rollout.
  private mutating func estimateAdvantages() {
    agent.values(of: rollout)
    kernels.functions.advantages(
      rollout.steps, rollout.environments, Float(recipe.gamma), Float(recipe.lambda), rollout.rewards.base,
      rollout.dones.base, rollout.values.base, rollout.advantages.base, rollout.returns.base)
    kernels.functions.normalize(rollout.count, rollout.advantages.base)
  }

  /// The return of each environment's first episode under a policy, in the order in which they end.
  static func firstEpisodes(
    _ agent: inout ActorCritic, recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64
  ) -> [Float] {
    var environments = CartpoleEnvironment(
      count: recipe.environments, physics: recipe.physics, kernels: kernels, seed: seed,
      stream: .evaluationResets)
    let rollout = Rollout(steps: 1, environments: recipe.environments)
    var running = [Bool](repeating: true, count: recipe.environments)
    var returns: [Float] = []
    var step = 0
    while returns.count < recipe.environments {
      environments.observe(into: rollout.observations.base)
      agent.act(
        at: 0, of: rollout, in: &environments, seed: seed, stream: .evaluationActions, noiseStep: step
      ) { index, episodeReturn in
        if running[index] { returns.append(episodeReturn) }
        running[index] = false
      }
      step += 1
    }
    return returns
  }
}

/// What the environments went through in one iteration: arrays (steps, environments), row-major. Minibatches are equal
/// parts of them in this order.
struct Rollout: ~Copyable {
  let steps: Int
  let environments: Int
  /// (steps + 1, environments, 4): those that the policy acts on, and those of the states reached.
  let observations: AlignedBuffer<Float>
  /// (steps, environments), before they are clipped; ``logProbabilities`` are of these.
  let actions: AlignedBuffer<Float>
  let logProbabilities: AlignedBuffer<Float>
  let rewards: AlignedBuffer<Float>
  /// (steps, environments): 1 where an episode ended with the step, else 0.
  let dones: AlignedBuffer<Float>
  /// (steps + 1, environments), of ``observations``.
  let values: AlignedBuffer<Float>
  let advantages: AlignedBuffer<Float>
  let returns: AlignedBuffer<Float>

  init(steps: Int, environments: Int) {
    self.steps = steps
    self.environments = environments
    let count = steps * environments
    observations = AlignedBuffer(count: 4 * (count + environments))
    actions = AlignedBuffer(count: count)
    logProbabilities = AlignedBuffer(count: count)
    rewards = AlignedBuffer(count: count)
    dones = AlignedBuffer(count: count)
    values = AlignedBuffer(count: count + environments)
    advantages = AlignedBuffer(count: count)
    returns = AlignedBuffer(count: count)
  }

  /// The number of samples, steps × environments.
  var count: Int { steps * environments }
}

/// The policy and the value function, two networks without common layers, and the state of their optimizer.
struct ActorCritic: ~Copyable {
  static let policyCount = Int(CK_POLICY_PARAMETERS)
  private static let valueCount = Int(CK_MLP_PARAMETERS)
  private static let paddedCount = ck_padded(policyCount + valueCount)

  private let recipe: CartpoleRecipe
  private let kernels: Kernels
  /// The policy's, then the value function's, then zeros up to whole vectors; so are gradient and moments.
  private let parameters = AlignedBuffer<Float>(count: paddedCount)
  private let gradient = AlignedBuffer<Float>(count: paddedCount)
  private let firstMoment = AlignedBuffer<Float>(count: paddedCount)
  private let secondMoment = AlignedBuffer<Float>(count: paddedCount)
  private var adam: ck_adam
  private let policyPacked = AlignedBuffer<UInt8>(count: Int(CK_MLP_BYTES))
  private let valuePacked = AlignedBuffer<UInt8>(count: Int(CK_MLP_BYTES))
  private let scratch = AlignedBuffer<UInt8>(count: Int(CK_SCRATCH_BYTES))
  /// (environments), of one step.
  private let means: AlignedBuffer<Float>
  private let noise: AlignedBuffer<Float>

  /// The networks that the run of this seed begins with.
  init(recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64) {
    var initialization = OrthogonalInitialization(
      kernels: kernels, seed: seed, biases: recipe.biasInitialization ?? .zero)
    let policy = initialization.network(hiddenGain: recipe.hiddenGain, outputGain: recipe.policyGain)
    let value = initialization.network(hiddenGain: recipe.hiddenGain, outputGain: recipe.valueGain)
    self.init(
      recipe: recipe, kernels: kernels, policy: [Float(recipe.initialLogStd)] + policy, value: value)
  }

  /// Given networks: the stored parameters of a policy, and those of a value function; zeros where there are none.
  init(recipe: CartpoleRecipe, kernels: Kernels, policy: [Float], value: [Float] = []) {
    precondition(policy.count == Self.policyCount && value.count <= Self.valueCount)
    self.recipe = recipe
    self.kernels = kernels
    adam = ck_adam(
      learning_rate: 0, beta1: Float(recipe.adamBeta1), beta2: Float(recipe.adamBeta2),
      epsilon: Float(recipe.adamEpsilon), norm_limit: Float(recipe.gradientNormLimit), beta1_power: 1,
      beta2_power: 1)
    means = AlignedBuffer(count: recipe.environments)
    noise = AlignedBuffer(count: recipe.environments)
    for (i, parameter) in (policy + value).enumerated() { parameters.base[i] = parameter }
    pack()
  }

  /// The stored parameter vector: log_std and the policy's network.
  var policyParameters: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: parameters.base, count: Self.policyCount)
  }

  private var logStd: Float { parameters.base[0] }

  /// Samples an action for each environment from the observations of step `t`, and lets the environments take it.
  ///
  /// - Parameters:
  ///   - noiseStep: How many steps the stream of action noise has served before.
  ///   - onEnd: Called with each environment whose episode ended and the episode's return.
  mutating func act(
    at t: Int, of rollout: borrowing Rollout, in environments: inout CartpoleEnvironment, seed: UInt64,
    stream: CartpoleStream, noiseStep: Int, onEnd: (_ environment: Int, _ return: Float) -> Void
  ) {
    let count = rollout.environments
    let row = t * count
    kernels.functions.mlp_forward(
      OpaquePointer(policyPacked.base), count, rollout.observations.base + 4 * row, means.base, scratch.base)
    kernels.functions.random_normal(
      seed, stream.rawValue, UInt64(noiseStep * (count / 4)), count, noise.base)
    kernels.functions.policy_sample(
      count, logStd, means.base, noise.base, rollout.actions.base + row, rollout.logProbabilities.base + row)
    environments.step(
      actions: rollout.actions.base + row, rewards: rollout.rewards.base + row,
      dones: rollout.dones.base + row, onEnd: onEnd)
    environments.observe(into: rollout.observations.base + 4 * (row + count))
  }

  /// The policy's mean actions at some observations, (states, 4) of a multiple of 16 states.
  func means(at states: [Float]) -> [Float] {
    let count = states.count / 4
    let inputs = AlignedBuffer<Float>(count: states.count)
    let outputs = AlignedBuffer<Float>(count: count)
    for (i, value) in states.enumerated() { inputs.base[i] = value }
    kernels.functions.mlp_forward(
      OpaquePointer(policyPacked.base), count, inputs.base, outputs.base, scratch.base)
    return Array(UnsafeBufferPointer(start: outputs.base, count: count))
  }

  /// The value function at all observations of a rollout.
  mutating func values(of rollout: borrowing Rollout) {
    kernels.functions.mlp_forward(
      OpaquePointer(valuePacked.base), rollout.values.count, rollout.observations.base, rollout.values.base,
      scratch.base)
  }

  /// One step of Adam on some samples of a rollout, down the gradient of
  /// mean(max(-A r, -A clip(r, 1 - clip, 1 + clip))) + value_coefficient * mean((returns - values)^2),
  /// r the ratio of the new to the old probability and A the advantages. The gradient's norm, of both networks together, is
  /// clipped; the entropy is no part of the loss.
  mutating func update(on rollout: borrowing Rollout, minibatch: Range<Int>, learningRate: Double) {
    let start = minibatch.lowerBound
    let observations = rollout.observations.base + 4 * start
    kernels.functions.policy_gradient(
      OpaquePointer(policyPacked.base), logStd, Float(recipe.clip), minibatch.count, observations,
      rollout.actions.base + start, rollout.logProbabilities.base + start, rollout.advantages.base + start,
      gradient.base, scratch.base)
    kernels.functions.value_gradient(
      OpaquePointer(valuePacked.base), Float(recipe.valueCoefficient), minibatch.count, observations,
      rollout.returns.base + start, gradient.base + Self.policyCount, scratch.base)
    adam.learning_rate = Float(learningRate)
    kernels.functions.adam_step(
      &adam, Self.paddedCount, gradient.base, parameters.base, firstMoment.base, secondMoment.base)
    pack()
  }

  private mutating func pack() {
    kernels.functions.mlp_pack(parameters.base + 1, OpaquePointer(policyPacked.base))
    kernels.functions.mlp_pack(parameters.base + Self.policyCount, OpaquePointer(valuePacked.base))
  }
}

/// The returns of the last finished episodes, of which `train_return` is the mean.
package struct EpisodeWindow {
  package let capacity: Int
  private var returns: [Float] = []
  private var next = 0

  package init(capacity: Int) {
    self.capacity = capacity
    returns.reserveCapacity(capacity)
  }

  package mutating func append(_ value: Float) {
    if returns.count < capacity {
      returns.append(value)
    } else {
      returns[next] = value
    }
    next = (next + 1) % capacity
  }

  /// The mean over the window, or over all episodes while they are fewer than its capacity; 0 for none.
  package var mean: Float { Self.mean(returns) }

  /// The mean of some returns, summed in Double; 0 for none.
  static func mean(_ returns: [Float]) -> Float {
    returns.isEmpty ? 0 : Float(returns.reduce(0) { $0 + Double($1) } / Double(returns.count))
  }
}

/// A run's streams of random numbers, one a purpose. Biases have their own, so that the weights of a seed are those
/// that it had when all biases were 0.
enum CartpoleStream: UInt64 {
  case initialization, schedule, resets, actions, evaluationResets, evaluationActions, biases
}
