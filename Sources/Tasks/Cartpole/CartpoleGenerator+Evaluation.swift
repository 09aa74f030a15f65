public import Corpus
public import Datasets

extension CartpoleGenerator: Evaluator {
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

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    [Float](repeating: meanReturn(of: network, seed: seed), count: metrics.count)
  }

  func meanReturn(of network: [Float], seed: UInt64) -> Float {
    precondition(network.count == architecture.parameterCount)
    var recipe = settings
    recipe.environments = settings.evaluationEpisodes ?? max(256, settings.environments)
    var networks = CartpoleNetworks(recipe: recipe, kernels: kernels, policy: network)
    let returns = CartpoleTrainer.firstEpisodes(&networks, recipe: recipe, kernels: kernels, seed: seed)
    return EpisodeWindow.mean(returns)
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let networks = CartpoleNetworks(recipe: settings, kernels: kernels, seed: seed)
    return withExtendedLifetime(networks) { Array($0.policyParameters) }
  }
}
