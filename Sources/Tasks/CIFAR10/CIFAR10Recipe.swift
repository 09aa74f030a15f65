public import Corpus
public import Datasets

/// Everything that determines a CIFAR-10 run but its seed; the defaults are the published numbers
/// (Schemas/reference.md, section 3). In JSON the names are in snake case.
public struct CIFAR10Recipe: Codable, Hashable, Sendable, ImageRecipe {
  package static let displayName = "CIFAR-10"

  public var dataset: DatasetIdentity
  /// Passes over the training images, each in a random order of its own.
  public var epochs = 50
  /// Images of an optimizer step; what is left of an epoch at its end is not used.
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
  /// The factor of the weight decay (L2) of all parameters, the bias too.
  public var weightDecay = 5e-4

  /// What is subtracted from red, green and blue pixels of 0 to 255.
  public var pixelMeans = [125.3, 123.0, 113.9]
  /// What red, green and blue pixels are divided by when ``pixelMeans`` have been subtracted.
  public var pixelDeviations = [63.0, 62.1, 66.7]
  /// The probability that a training image is mirrored. It is then padded by 4 zeros on each side and cut to its size
  /// from a random row and column from 0 to 7 on.
  public var flipProbability = 0.5

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
    case pixelMeans = "pixel_means"
    case pixelDeviations = "pixel_deviations"
    case flipProbability = "flip_probability"
  }

  /// Checks that a run can be made of these numbers.
  ///
  /// - Throws: `invalidRecipe`, naming the first number that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try validateTraining(batchSizes: 1...65_536, "from 1 to 65536")
    try Self.require(
      pixelMeans.count == 3 && pixelMeans.allSatisfy { $0.magnitude <= 1e4 }, CodingKeys.pixelMeans,
      pixelMeans,
      "three numbers from -10000 to 10000")
    try Self.require(
      pixelDeviations.count == 3 && pixelDeviations.allSatisfy { $0 >= 1e-2 && $0 <= 1e4 },
      CodingKeys.pixelDeviations, pixelDeviations, "three numbers from 0.01 to 10000")
    try Self.require(
      flipProbability >= 0 && flipProbability <= 1, CodingKeys.flipProbability, flipProbability, "from 0 to 1"
    )
  }
}
