import VectorKernels

/// One run of proximal policy optimization (Schulman et al., arXiv 1707.06347) as it goes.
struct CartpoleTrainer: ~Copyable {
  private let recipe: CartpoleRecipe
  private let kernels: Kernels
  private let seed: UInt64
  private var networks: CartpoleNetworks
  private var environment: CartpoleEnvironment
  private let rollout: CartpoleRollout
  private let decay: CosineDecay
  private var window: EpisodeWindow
  /// The iterations done.
  private(set) var iteration = 0
  /// The metric `train_return` of the present policy.
  private(set) var trainReturn: Float

  init(recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64) {
    self.recipe = recipe
    self.kernels = kernels
    self.seed = seed
    networks = CartpoleNetworks(recipe: recipe, kernels: kernels, seed: seed)
    environment = CartpoleEnvironment(
      count: recipe.environments, physics: recipe.physics, kernels: kernels, seed: seed, stream: .resets)
    rollout = CartpoleRollout(steps: recipe.rolloutSteps, environments: recipe.environments)
    decay = CosineDecay(
      base: recipe.learningRate, epochs: (recipe.decayIterations ?? recipe.iterations) * recipe.epochs)
    window = EpisodeWindow(capacity: recipe.returnWindow)
    let returns = Self.firstEpisodes(&networks, recipe: recipe, kernels: kernels, seed: seed)
    for value in returns { window.append(value) }
    trainReturn = EpisodeWindow.mean(returns)
  }

  /// The stored parameters of the present policy.
  var parameters: UnsafeBufferPointer<Float> { networks.policyParameters }

  /// One iteration: a rollout, then `epochs` passes over it.
  mutating func iterate() {
    var window = self.window
    rollout.collect(
      networks: &networks, environment: &environment, kernels: kernels, seed: seed, stream: .actions,
      noiseStart: iteration * recipe.rolloutSteps
    ) { _, value in window.append(value) }
    self.window = window
    trainReturn = window.mean

    rollout.estimate(networks: &networks, gamma: recipe.gamma, lambda: recipe.lambda, kernels: kernels)
    let size = rollout.count / recipe.minibatches
    for epoch in 0..<recipe.epochs {
      let rate = decay.rate(epoch: iteration * recipe.epochs + epoch)
      for start in stride(from: 0, to: rollout.count, by: size) {
        networks.update(on: rollout, range: start..<(start + size), learningRate: rate)
      }
    }
    iteration += 1
  }

  /// The return of each environment's first episode under a policy, in the order in which they end.
  static func firstEpisodes(
    _ networks: inout CartpoleNetworks, recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64
  ) -> [Float] {
    var environment = CartpoleEnvironment(
      count: recipe.environments, physics: recipe.physics, kernels: kernels, seed: seed,
      stream: .evaluationResets)
    let rollout = CartpoleRollout(steps: 1, environments: recipe.environments)
    var running = [Bool](repeating: true, count: recipe.environments)
    var returns: [Float] = []
    var step = 0
    while returns.count < recipe.environments {
      rollout.collect(
        networks: &networks, environment: &environment, kernels: kernels, seed: seed,
        stream: .evaluationActions, noiseStart: step
      ) { index, value in
        if running[index] { returns.append(value) }
        running[index] = false
      }
      step += 1
    }
    return returns
  }
}
