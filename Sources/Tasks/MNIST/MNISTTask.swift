internal import CKernels
public import Corpus
public import Datasets
package import VectorKernels

/// Trains classifiers of handwritten digits: stochastic gradient descent on a 784-10-10 network
/// (Schemas/reference.md, section 3).
///
/// ``Run/metrics`` are of the last optimizer step's batch before that step, and of all test images under the checkpoint
/// itself; a checkpoint's iteration is the number of steps before it.
public struct MNISTTask: ImageTask, OptimizedTask, BehavingTask {
  public static let name = "mnist"
  public static let architecture = Architecture.mnist
  public let recipe: JSONValue
  /// ``recipe``, typed.
  public let settings: MNISTRecipe
  let images: MNISTImages
  package let kernels: Kernels

  /// The task after a recipe.
  ///
  /// - Parameter dataset: the images that the recipe names.
  /// - Throws: `invalidRecipe` if no run can be made after it; `differentDataset` if it is for other images;
  ///   `malformedDataset` for images that are not 28 × 28; `resource` if the environment variable
  ///   `CORPUS_KERNELS` names kernels that this processor lacks.
  public init(_ settings: MNISTRecipe, dataset: ImageDataset) throws(CorpusError) {
    try self.init(settings, dataset: dataset, kernels: Kernels())
  }

  /// The task after a recipe, computed with the given kernels.
  package init(_ settings: MNISTRecipe, dataset: ImageDataset, kernels: Kernels) throws(CorpusError) {
    let settings = try settings.settled(task: Self.name)
    try dataset.identity.require(settings.dataset)
    guard dataset.shape == .mnist else {
      throw CorpusError(
        .malformedDataset, "the images of the data set \(dataset.identity.name) are not 28 x 28 and grey",
        remedy: "train the MNIST task on MNIST, or on images of its shape")
    }
    self.settings = settings
    self.kernels = kernels
    images = MNISTImages(dataset)
    recipe = try CanonicalJSON.value(settings)
  }

  public var split: SplitRule { SplitRule(testLimit: 500) }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    MNISTTrainer.run(
      recipe: settings, images: images, kernels: kernels, seed: seed, isCancelled: isCancelled)
  }

  // MARK: Evaluator

  public static var publishedPrompts: [String: Float] {
    ["test_loss": 0, "train_loss": 0, "test_error": 5, "train_error": 5]
  }

  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.mnist(in: datasets)
    try self.init(MNISTRecipe(dataset: dataset.identity), dataset: dataset)
  }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    var network = MNISTNetwork(recipe: settings, images: images, kernels: kernels, parameters: network)
    let outcome = network.test()
    return [outcome.loss, outcome.error]
  }

  public func evaluator(of plane: ParameterPlane, metric: Int, images limit: Int?) -> any PlaneEvaluator {
    let count = min(max(1, limit ?? images.test.count), images.test.count)
    return MNISTPlane(
      plane, wantsLosses: evaluatedMetrics[metric] == .testLoss, images: images.test, count: count,
      scale: ck_mnist_scale(settings), kernels: kernels)
  }

  public func optimize(
    seed: UInt64, by optimizer: OptimizerSettings, updates: [Int], isCancelled: @Sendable () -> Bool
  ) throws(CorpusError) -> (metrics: [[Float]], parameters: [Float])? {
    var recipe = settings
    (recipe.momentum, recipe.weightDecay) = (0.9, 0)
    let trainer = MNISTTrainer(
      recipe: recipe, images: images, kernels: kernels, seed: seed, optimizer: optimizer)
    return trainer.checkpoints(at: updates, isCancelled: isCancelled)
  }

  public func behavior(of network: [Float], asked questions: [Float]) -> [Float] {
    var network = MNISTNetwork(recipe: settings, images: images, kernels: kernels, parameters: network)
    return network.mistakes()
  }
}
