public import Corpus
public import Datasets

extension MNISTTask: Evaluator {
  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.mnist(in: datasets)
    try self.init(MNISTRecipe(dataset: dataset.identity), dataset: dataset)
  }

  /// `test_loss` and `test_error` (%), of all test images.
  public var evaluatedMetrics: [Metric] { [.testLoss, .testError] }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    var network = MNISTNetwork(recipe: settings, images: images, kernels: kernels, parameters: network)
    let outcome = network.test()
    return [outcome.loss, outcome.error]
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    initialParameters(of: architecture, kernels: kernels, seed: seed)
  }
}
