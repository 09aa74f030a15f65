public import Corpus
public import Datasets

extension CartpoleTask: Evaluator {
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
    var agent = ActorCritic(recipe: recipe, kernels: kernels, policy: network)
    return EpisodeWindow.mean(PPO.firstEpisodes(&agent, recipe: recipe, kernels: kernels, seed: seed))
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let agent = ActorCritic(recipe: settings, kernels: kernels, seed: seed)
    return withExtendedLifetime(agent) { Array($0.policyParameters) }
  }
}
