internal import CKernels
public import Corpus
public import Datasets
package import VectorKernels

/// Trains Gaussian policies that balance a pole on a cart: proximal policy optimization of a 4-32-32-1
/// network (Schemas/reference.md, section 3).
public struct CartpoleTask: OptimizedTask, BehavingTask {
  public static let name = "cartpole"
  /// The tensors of the policy; the value function is not stored.
  public static let architecture = Architecture.cartpole
  /// The metrics of the published recipe.
  public static let metrics = [Metric.trainReturn]
  public var architecture: Architecture { Self.architecture }
  public var metrics: [Metric] { Self.metrics + (settings.evaluationEpisodes == nil ? [] : [.evalReturn]) }
  public static let publishedPrompts: [String: Float] = ["train_return": 500, "eval_return": 500]
  public let recipe: JSONValue
  /// ``recipe``, typed.
  public let settings: CartpoleRecipe
  let kernels: Kernels

  /// The task after a recipe.
  ///
  /// - Throws: `invalidRecipe` if no run can be made after it; `resource` if the environment variable
  ///   `CORPUS_KERNELS` names kernels that this processor lacks.
  public init(_ settings: CartpoleRecipe = CartpoleRecipe()) throws(CorpusError) {
    try self.init(settings, kernels: Kernels())
  }

  /// The task after a recipe, computed with the given kernels.
  package init(_ settings: CartpoleRecipe, kernels: Kernels) throws(CorpusError) {
    try settings.validate()
    var settings = settings
    let measuresCheckpoints = settings.evaluationEpisodes != nil
    try settings.settleSchedule(
      task: Self.name, metrics: Self.metrics + (measuresCheckpoints ? [.evalReturn] : []),
      usual: measuresCheckpoints ? .evalReturn : .trainReturn)
    self.settings = settings
    self.kernels = kernels
    recipe = try CanonicalJSON.value(settings)
  }

  public init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    try self.init(recipe.decoded(as: CartpoleRecipe.self, task: Self.name))
  }

  public var checkpointsPerRun: Int { settings.checkpoints }

  /// Version 1 had no `bias_initialization`: all biases began at 0.
  public func asOf(version: Int) throws(CorpusError) -> Self {
    var settings = settings
    if version < 2 { settings.biasInitialization = nil }
    return try Self(settings, kernels: kernels)
  }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    let key = UInt64(bitPattern: seed)
    var random = PhiloxGenerator(seed: key, stream: CartpoleStream.schedule.rawValue)
    let schedule = settings.candidates(random: &random)

    var ppo = PPO(recipe: settings, kernels: kernels, seed: key)
    var parameters: [Float] = []
    parameters.reserveCapacity(schedule.count * architecture.parameterCount)
    var returns: [Float] = []
    for iteration in schedule {
      while ppo.iteration < iteration {
        if isCancelled() { return nil }
        ppo.iterate()
      }
      parameters.append(contentsOf: ppo.parameters)
      returns.append(ppo.trainReturn)
    }
    let run = Run(seed: seed, iterations: schedule, metrics: [returns], parameters: parameters)
    guard settings.evaluationEpisodes != nil else { return settings.keep(run, metrics: metrics) }
    // Episodes cost more than iterations: only what is kept has them, unless they choose what that is.
    let isChosenByThem = settings.scheduleMetric == Metric.evalReturn.name
    let candidates = isChosenByThem ? run : settings.keep(run, metrics: Self.metrics)
    guard let measured = evaluated(candidates, isCancelled: isCancelled) else { return nil }
    return isChosenByThem ? settings.keep(measured, metrics: metrics) : measured
  }

  /// The run with `eval_return` of each checkpoint; nil on cancellation.
  private func evaluated(_ run: Run, isCancelled: @Sendable () -> Bool) -> Run? {
    let key = UInt64(bitPattern: run.seed)
    let length = architecture.parameterCount
    var returns: [Float] = []
    for start in stride(from: 0, to: run.parameters.count, by: length) {
      if isCancelled() { return nil }
      returns.append(meanReturn(of: Array(run.parameters[start..<(start + length)]), seed: key))
    }
    return Run(
      seed: run.seed, iterations: run.iterations, metrics: run.metrics + [returns], parameters: run.parameters
    )
  }

  // MARK: Evaluator

  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    try self.init()
  }

  /// The mean return of the recipe's evaluation episodes; where it has none, of as many as it has environments, but at
  /// least 256. Each begins afresh, with noise on the actions.
  ///
  /// All networks meet the same starts and the same noise. With the seed of a run it is what the run records as
  /// `eval_return`; for its initial policy also as `train_return`, if there are as many environments as episodes. A
  /// network by itself has no other `train_return`.
  public var evaluatedMetrics: [Metric] { metrics }

  /// The episodes by which a network is measured.
  public var evaluationEpisodes: Int { settings.evaluationEpisodes ?? max(256, settings.environments) }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    [Float](repeating: meanReturn(of: network, seed: seed), count: metrics.count)
  }

  private func meanReturn(of network: [Float], seed: UInt64) -> Float {
    precondition(network.count == architecture.parameterCount)
    var recipe = settings
    recipe.environments = evaluationEpisodes
    var agent = ActorCritic(recipe: recipe, kernels: kernels, policy: network)
    return EpisodeWindow.mean(PPO.firstEpisodes(&agent, recipe: recipe, kernels: kernels, seed: seed))
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let agent = ActorCritic(recipe: settings, kernels: kernels, seed: seed)
    return withExtendedLifetime(agent) { Array($0.policyParameters) }
  }

  // MARK: Optimizers

  public static var optimizers: [OptimizerSettings.Name: [Double]] {
    [.ppo: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]]
  }
  public static var update: String { "an iteration of PPO: a rollout, and the optimizer steps on it" }

  public func optimize(
    seed: UInt64, by optimizer: OptimizerSettings, updates: [Int], isCancelled: @Sendable () -> Bool
  ) throws(CorpusError) -> (metrics: [[Float]], parameters: [Float])? {
    var recipe = settings
    recipe.learningRate = optimizer.learningRate
    recipe.decayIterations = max(recipe.decayIterations ?? recipe.iterations, updates.last ?? 0)
    var ppo = PPO(recipe: recipe, kernels: kernels, seed: seed)
    var parameters: [Float] = []
    var returns: [Float] = []
    for target in updates {
      while ppo.iteration < target {
        if isCancelled() { return nil }
        ppo.iterate()
      }
      let network = Array(ppo.parameters)
      // The same episodes for all networks, as evaluation has them.
      returns.append(meanReturn(of: network, seed: 0))
      parameters.append(contentsOf: network)
    }
    return ([[Float]](repeating: returns, count: metrics.count), parameters)
  }

  // MARK: Behaviour

  /// Observations that the policy meets: of 16 environments, every 8th step of one episode's length; (states, 4).
  public func questions(for network: [Float]) -> [Float] {
    var recipe = settings
    recipe.environments = 16
    var agent = ActorCritic(recipe: recipe, kernels: kernels, policy: network)
    var environments = CartpoleEnvironment(
      count: recipe.environments, physics: recipe.physics, kernels: kernels, seed: 0,
      stream: .evaluationResets)
    let rollout = Rollout(steps: 1, environments: recipe.environments)
    var states: [Float] = []
    for step in 0..<recipe.physics.episodeSteps {
      environments.observe(into: rollout.observations.base)
      if step.isMultiple(of: 8) {
        states += UnsafeBufferPointer(start: rollout.observations.base, count: 4 * recipe.environments)
      }
      agent.act(
        at: 0, of: rollout, in: &environments, seed: 0, stream: .evaluationActions, noiseStep: step
      ) { _, _ in }
    }
    return states
  }

  /// The mean actions, clipped to [-1, 1] as the environment does.
  public func behavior(of network: [Float], asked questions: [Float]) -> [Float] {
    let agent = ActorCritic(recipe: settings, kernels: kernels, policy: network)
    return agent.means(at: questions).map { max(-1, min(1, $0)) }
  }

  public var similarityMeaning: String {
    "1 less half the mean difference of actions in states that the first visits"
  }

  public func similarity(_ one: [Float], _ other: [Float]) -> Float {
    let difference = zip(one, other).reduce(0) { $0 + abs($1.0 - $1.1) }
    return 1 - difference / Float(2 * max(1, one.count))
  }
}

extension CartpoleTask {
  /// The means of a policy's action.
  ///
  /// - Parameters:
  ///   - network: its (P) parameters.
  ///   - observations: (count, 4).
  public func meanActions(of network: [Float], at observations: [SIMD4<Float>]) -> [Float] {
    precondition(network.count == architecture.parameterCount)
    let count = (observations.count + 15) / 16 * 16
    let packed = AlignedBuffer<UInt8>(count: Int(CK_MLP_BYTES))
    let scratch = AlignedBuffer<UInt8>(count: Int(CK_SCRATCH_BYTES))
    let inputs = AlignedBuffer<Float>(count: 4 * count)
    let means = AlignedBuffer<Float>(count: count)
    for (row, observation) in observations.enumerated() {
      for i in 0..<4 { inputs.base[4 * row + i] = observation[i] }
    }
    Array(network.dropFirst()).withUnsafeBufferPointer { parameters in
      if let base = parameters.baseAddress { kernels.functions.mlp_pack(base, OpaquePointer(packed.base)) }
    }
    kernels.functions.mlp_forward(
      OpaquePointer(packed.base), count, inputs.base, means.base, scratch.base)
    return Array(UnsafeBufferPointer(start: means.base, count: observations.count))
  }
}
