public import Corpus
public import Datasets
package import VectorKernels

/// Trains classifiers of handwritten digits: stochastic gradient descent on a 784-10-10 network
/// (Schemas/reference.md, section 3).
///
/// A checkpoint's iteration is the number of optimizer steps before it. `train_loss` and `train_error` are of
/// the last of these steps' batch before the step, as its forward pass finds them; for the initial network,
/// of the first batch. `test_loss` and `test_error` are of all test images under the checkpoint itself.
public struct MNISTGenerator: Generator {
  public static let task = "mnist"
  public static let architecture = Architecture.mnist
  public static let metrics = [Metric.trainLoss, .trainError, .testLoss, .testError]
  public var architecture: Architecture { Self.architecture }
  public var metrics: [Metric] { Self.metrics }
  public let recipe: JSONValue
  /// ``recipe``, typed.
  public let settings: MNISTRecipe
  let images: MNISTImages
  let kernels: Kernels

  /// A generator of runs after a recipe.
  ///
  /// - Parameter dataset: the images that the recipe names.
  /// - Throws: `invalidRecipe` if no run can be made after it; `differentDataset` if it is for other images;
  ///   `malformedDataset` for images that are not 28 × 28; `resource` if the environment variable
  ///   `CORPUS_KERNELS` names kernels that this processor lacks.
  public init(_ settings: MNISTRecipe, dataset: ImageDataset) throws(CorpusError) {
    try self.init(settings, dataset: dataset, kernels: Kernels())
  }

  /// A generator that computes with the given kernels.
  package init(_ settings: MNISTRecipe, dataset: ImageDataset, kernels: Kernels) throws(CorpusError) {
    try settings.validate()
    var settings = settings
    try settings.settleSchedule(task: Self.task, metrics: Self.metrics, usual: .testLoss)
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

  public init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    // What cannot be is told before any data are read.
    var settings = try recipe.decoded(as: MNISTRecipe.self, task: Self.task)
    try settings.validate()
    try settings.settleSchedule(task: Self.task, metrics: Self.metrics, usual: .testLoss)
    try self.init(settings, dataset: ImageDataset(settings.dataset, in: datasets))
  }

  public var checkpointsPerRun: Int { settings.checkpoints }

  public var split: SplitRule { SplitRule(testLimit: 500) }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    let key = UInt64(bitPattern: seed)
    var random = PhiloxGenerator(seed: key, stream: MNISTStream.schedule)
    let schedule = settings.candidates(random: &random)

    var trainer = MNISTTrainer(recipe: settings, images: images, kernels: kernels, seed: key)
    var parameters: [Float] = []
    parameters.reserveCapacity(schedule.count * architecture.parameterCount)
    var outcomes: [(train: Outcome, test: Outcome)] = []
    for iteration in schedule {
      while trainer.iteration < iteration {
        if isCancelled() { return nil }
        trainer.step()
      }
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
