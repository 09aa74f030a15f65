public import Corpus
public import Datasets

extension CIFAR10Task: Evaluator {
  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.cifar10(in: datasets)
    try self.init(CIFAR10Recipe(dataset: dataset.identity), dataset: dataset)
  }

  /// `test_loss` and `test_error` (%), of all test images.
  public var evaluatedMetrics: [Metric] { [.testLoss, .testError] }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    var network = CIFAR10Network(recipe: settings, images: images, kernels: kernels, parameters: network)
    let outcome = network.test()
    return [outcome.loss, outcome.error]
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    initialParameters(of: architecture, kernels: kernels, seed: seed)
  }
}
