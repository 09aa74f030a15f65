public import Corpus
public import Datasets
package import VectorKernels

/// Trains classifiers of small colour pictures: stochastic gradient descent on a network of two convolutions
/// of 16 and 32 channels, a mean over all pixels and a linear layer (Schemas/reference.md, section 3).
///
/// ``Run/metrics`` are of the last optimizer step's batch before that step, and of all test images under the checkpoint
/// itself; a checkpoint's iteration is the number of steps before it.
public struct CIFAR10Task: ImageTask, OptimizedTask, BehavingTask {
  public static let name = "cifar10"
  public static let architecture = Architecture.cifar10
  public let recipe: JSONValue
  /// ``recipe``, typed.
  public let settings: CIFAR10Recipe
  let images: CIFAR10Images
  package let kernels: Kernels

  /// The task after a recipe.
  ///
  /// - Parameter dataset: the images that the recipe names.
  /// - Throws: `invalidRecipe` if no run can be made after it; `differentDataset` if it is for other images;
  ///   `malformedDataset` for images that are not 32 × 32 in three colours; `resource` if the environment
  ///   variable `CORPUS_KERNELS` names kernels that this processor lacks.
  public init(_ settings: CIFAR10Recipe, dataset: ImageDataset) throws(CorpusError) {
    try self.init(settings, dataset: dataset, kernels: Kernels())
  }

  /// The task after a recipe, computed with the given kernels.
  package init(_ settings: CIFAR10Recipe, dataset: ImageDataset, kernels: Kernels) throws(CorpusError) {
    let settings = try settings.settled(task: Self.name)
    try dataset.identity.require(settings.dataset)
    guard dataset.shape == .cifar10 else {
      throw CorpusError(
        .malformedDataset,
        "the images of the data set \(dataset.identity.name) are not 32 x 32 in three colours",
        remedy: "train the CIFAR-10 task on CIFAR-10, or on images of its shape")
    }
    self.settings = settings
    self.kernels = kernels
    images = CIFAR10Images(dataset)
    recipe = try CanonicalJSON.value(settings)
  }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    CIFAR10Trainer.run(
      recipe: settings, images: images, kernels: kernels, seed: seed, isCancelled: isCancelled)
  }

  // MARK: Evaluator

  public static var publishedPrompts: [String: Float] {
    ["test_loss": 1.2, "train_loss": 1.2, "test_error": 35, "train_error": 35]
  }

  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.cifar10(in: datasets)
    try self.init(CIFAR10Recipe(dataset: dataset.identity), dataset: dataset)
  }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    var network = CIFAR10Network(recipe: settings, images: images, kernels: kernels, parameters: network)
    let outcome = network.test()
    return [outcome.loss, outcome.error]
  }

  /// One network after the other, on some of the images: the second convolution is nine tenths of the work, and nothing of it
  /// is the same for two networks.
  public func evaluator(of plane: ParameterPlane, metric: Int, images limit: Int?) -> any PlaneEvaluator {
    let count = min(max(1, limit ?? images.test.count), images.test.count)
    let measuresLoss = evaluatedMetrics[metric] == .testLoss
    return SingleNetworks(plane: plane, images: count) { [self] in
      var network = CIFAR10Network(recipe: settings, images: images, kernels: kernels, parameters: $0)
      let outcome = network.test(first: count)
      return measuresLoss ? outcome.loss : outcome.error
    }
  }

  public func optimize(
    seed: UInt64, by optimizer: OptimizerSettings, updates: [Int], isCancelled: @Sendable () -> Bool
  ) throws(CorpusError) -> (metrics: [[Float]], parameters: [Float])? {
    var recipe = settings
    (recipe.momentum, recipe.weightDecay) = (0.9, 0)
    let trainer = CIFAR10Trainer(
      recipe: recipe, images: images, kernels: kernels, seed: seed, optimizer: optimizer)
    return trainer.checkpoints(at: updates, isCancelled: isCancelled)
  }

  public var isQuickToAsk: Bool { false }

  public func behavior(of network: [Float], asked questions: [Float]) -> [Float] {
    var network = CIFAR10Network(recipe: settings, images: images, kernels: kernels, parameters: network)
    return network.mistakes()
  }
}
