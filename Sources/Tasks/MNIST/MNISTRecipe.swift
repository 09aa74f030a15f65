public import Corpus
public import Datasets

/// Everything that determines an MNIST run but its seed; the defaults are the published numbers
/// (Schemas/reference.md, section 3). In JSON the names are in snake case.
public struct MNISTRecipe: Codable, Hashable, Sendable, ImageRecipe {
  package static let displayName = "MNIST"

  public var dataset: DatasetIdentity
  /// Passes over the training images, each in a random order of its own.
  public var epochs = 25
  /// Images of an optimizer step, a multiple of 16; what is left of an epoch at its end is not used.
  public var batchSize = 128
  /// Checkpoints of a run: the initial network, the last one and those between that ``schedule`` chooses.
  public var checkpoints = 200
  /// Which iterations are kept; nil for the published rule, ``CheckpointRule/uniform``.
  public var schedule: CheckpointRule?
  /// The name of the metric over which ``CheckpointRule/metric`` spreads; nil for `test_loss`, and for the other rules.
  public var scheduleMetric: String?

  /// The learning rate of the first epoch; it falls to 0 over the epochs by a cosine.
  public var learningRate = 0.1
  /// The factor of Nesterov's momentum.
  public var momentum = 0.9
  /// The factor of the weight decay (L2) of all parameters, biases too.
  public var weightDecay = 5e-4

  /// What is subtracted from a pixel of 0 to 1.
  public var pixelMean = 0.1307
  /// What a pixel is divided by when ``pixelMean`` has been subtracted.
  public var pixelDeviation = 0.3081

  /// The published recipe on these images.
  public init(dataset: DatasetIdentity) {
    self.dataset = dataset
  }

  enum CodingKeys: String, CodingKey {
    case dataset, epochs, checkpoints, schedule, momentum
    case scheduleMetric = "schedule_metric"
    case batchSize = "batch_size"
    case learningRate = "learning_rate"
    case weightDecay = "weight_decay"
    case pixelMean = "pixel_mean"
    case pixelDeviation = "pixel_deviation"
  }

  /// Checks that a run can be made of these numbers.
  ///
  /// - Throws: `invalidRecipe`, naming the first number that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try validateTraining(batchSizes: 16...1024, factor: 16, "a multiple of 16 from 16 to 1024")
    try Self.require(
      pixelMean.magnitude <= 1e3, CodingKeys.pixelMean, pixelMean, "from -1000 to 1000")
    try Self.require(
      pixelDeviation >= 1e-3 && pixelDeviation <= 1e3, CodingKeys.pixelDeviation, pixelDeviation,
      "from 0.001 to 1000")
  }
}
