package import Corpus
package import Datasets
package import VectorKernels

/// What the tasks that classify images have in common.
package protocol ImageTask: Evaluator {
  associatedtype Settings: ImageRecipe & Codable

  static var architecture: Architecture { get }
  /// ``TrainingTask/recipe``, typed.
  var settings: Settings { get }
  var kernels: Kernels { get }

  init(_ settings: Settings, dataset: ImageDataset) throws(CorpusError)
}

extension ImageTask {
  public static var metrics: [Metric] { imageMetrics }
  public var metrics: [Metric] { imageMetrics }
  public var architecture: Architecture { Self.architecture }
  public var checkpointsPerRun: Int { settings.checkpoints }
  /// `test_loss` and `test_error` (%), of all test images.
  public var evaluatedMetrics: [Metric] { [.testLoss, .testError] }

  public init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    // What cannot be is told before any data are read.
    let settings = try recipe.decoded(as: Settings.self, task: Self.name).settled(task: Self.name)
    try self.init(settings, dataset: ImageDataset(settings.dataset, in: datasets))
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    initialParameters(of: architecture, kernels: kernels, seed: seed)
  }

  public static var optimizers: [OptimizerSettings.Name: [Double]] {
    [
      .adam: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
      .nesterov: [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1],
    ]
  }
  public static var update: String { "an optimizer step on a batch" }
}
