public import Corpus
public import Datasets

extension CartpoleGenerator: Evaluator {
  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    try self.init()
  }

  /// The mean return of as many episodes as the recipe has environments, but at least 256: one in each, from a fresh
  /// start, with noise on the actions.
  ///
  /// All networks meet the same starts and the same noise. For an initial policy and the seed of its run it is
  /// what the run records, if the recipe has as many environments.
  public var evaluatedMetrics: [Metric] { [.trainReturn] }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    precondition(network.count == architecture.parameterCount)
    var recipe = settings
    recipe.environments = max(256, settings.environments)
    var networks = CartpoleNetworks(recipe: recipe, kernels: kernels, policy: network)
    let returns = CartpoleTrainer.firstEpisodes(&networks, recipe: recipe, kernels: kernels, seed: seed)
    return [EpisodeWindow.mean(returns)]
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let networks = CartpoleNetworks(recipe: settings, kernels: kernels, seed: seed)
    return withExtendedLifetime(networks) { Array($0.policyParameters) }
  }
}
