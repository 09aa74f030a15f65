public import Corpus
public import Datasets
package import VectorKernels

/// Trains classifiers of small colour pictures: stochastic gradient descent on a network of two convolutions
/// of 16 and 32 channels, a mean over all pixels and a linear layer (Schemas/reference.md, section 3).
///
/// A checkpoint's iteration is the number of optimizer steps before it. `train_loss` and `train_error` are of
/// the last of these steps' batch before the step, as its forward pass finds them; for the initial network,
/// of the first batch. `test_loss` and `test_error` are of all test images under the checkpoint itself.
public struct CIFAR10Generator: Generator {
  static let pooledChannels = 32
  static let tensors = architecture.tensors

  public static let task = "cifar10"
  public static let architecture = Architecture.cifar10
  public static let metrics = [Metric.trainLoss, .trainError, .testLoss, .testError]
  public var architecture: Architecture { Self.architecture }
  public var metrics: [Metric] { Self.metrics }
  public let recipe: JSONValue
  /// ``recipe``, typed.
  public let settings: CIFAR10Recipe
  let images: CIFAR10Images
  let kernels: Kernels

  /// A generator of runs after a recipe.
  ///
  /// - Parameter dataset: the images that the recipe names.
  /// - Throws: `invalidRecipe` if no run can be made after it; `differentDataset` if it is for other images;
  ///   `malformedDataset` for images that are not 32 × 32 in three colours; `resource` if the environment
  ///   variable `CORPUS_KERNELS` names kernels that this processor lacks.
  public init(_ settings: CIFAR10Recipe, dataset: ImageDataset) throws(CorpusError) {
    try self.init(settings, dataset: dataset, kernels: Kernels())
  }

  /// A generator that computes with the given kernels.
  package init(_ settings: CIFAR10Recipe, dataset: ImageDataset, kernels: Kernels) throws(CorpusError) {
    try settings.validate()
    var settings = settings
    try settings.settleSchedule(task: Self.task, metrics: Self.metrics, usual: .testLoss)
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

  public init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    // What cannot be is told before any data are read.
    var settings = try recipe.decoded(as: CIFAR10Recipe.self, task: Self.task)
    try settings.validate()
    try settings.settleSchedule(task: Self.task, metrics: Self.metrics, usual: .testLoss)
    try self.init(settings, dataset: ImageDataset(settings.dataset, in: datasets))
  }

  public var checkpointsPerRun: Int { settings.checkpoints }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    let key = UInt64(bitPattern: seed)
    var random = PhiloxGenerator(seed: key, stream: CIFAR10Stream.schedule)
    let schedule = settings.candidates(random: &random)

    var trainer = CIFAR10Trainer(recipe: settings, images: images, kernels: kernels, seed: key)
    var parameters: [Float] = []
    parameters.reserveCapacity(schedule.count * architecture.parameterCount)
    var outcomes: [(train: Outcome, test: Outcome)] = []
    for iteration in schedule {
      while trainer.iteration < iteration {
        if isCancelled() { return nil }
        trainer.step()
      }
      if isCancelled() { return nil }
      parameters.append(contentsOf: trainer.parameters)
      outcomes.append((trainer.trainOutcome, trainer.test()))
    }
    let run = Run(
      seed: seed, iterations: schedule,
      metrics: [
        outcomes.map(\.train.loss), outcomes.map(\.train.error),
        outcomes.map(\.test.loss), outcomes.map(\.test.error),
      ], parameters: parameters)
    return settings.keep(run, metrics: Self.metrics)
  }
}
