public import Corpus
public import Datasets

/// Everything that determines an MNIST run but its seed; the defaults are the published numbers
/// (Schemas/reference.md, section 3). In JSON the names are in snake case.
public struct MNISTRecipe: Codable, Hashable, Sendable, ScheduledRecipe {
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

  /// The rate at the beginning; it falls to 0 over the epochs by a cosine.
  public var learningRate = 0.1
  /// Nesterov's.
  public var momentum = 0.9
  /// Of all parameters, biases too.
  public var weightDecay = 5e-4

  /// What a pixel, divided by 255, has subtracted from it and is then divided by.
  public var pixelMean = 0.1307
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

  /// The optimizer steps of an epoch.
  public var stepsPerEpoch: Int { dataset.trainImages / max(1, batchSize) }

  /// The optimizer steps of a run.
  public var iterations: Int { epochs * stepsPerEpoch }

  /// Checks that a run can be made of these numbers.
  ///
  /// - Throws: `invalidRecipe`, naming the first number that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try require(
      dataset.hasPossibleCounts, .dataset, "\(dataset.trainImages) + \(dataset.testImages) images",
      "a data set of 1 to 10000000 images in each part")
    // Comparisons are written so that NaN fails them.
    try require((1...100_000).contains(epochs), .epochs, epochs, "from 1 to 100000")
    try require(
      (16...1024).contains(batchSize) && batchSize.isMultiple(of: 16), .batchSize, batchSize,
      "a multiple of 16 from 16 to 1024")
    try require(
      batchSize <= dataset.trainImages, .batchSize, batchSize,
      "at most the number of training images, \(dataset.trainImages)")
    try require(
      checkpoints >= 2 && checkpoints <= iterations + 1, .checkpoints, checkpoints,
      "from 2 to the number of optimizer steps + 1 = \(iterations + 1)")
    try require(
      iterations < Int(Int32.max), .epochs, epochs, "fewer: there are \(iterations) optimizer steps")
    try require(
      learningRate > 0 && learningRate <= 1e6, .learningRate, learningRate, "above 0 and at most 1e6")
    try require((0..<1).contains(momentum), .momentum, momentum, "at least 0 and below 1")
    try require(weightDecay >= 0 && weightDecay <= 1, .weightDecay, weightDecay, "from 0 to 1")
    try require(pixelMean.magnitude <= 1e3, .pixelMean, pixelMean, "from -1000 to 1000")
    try require(
      pixelDeviation >= 1e-3 && pixelDeviation <= 1e3, .pixelDeviation, pixelDeviation, "from 0.001 to 1000")
  }

  private func require(
    _ condition: Bool, _ key: CodingKeys, _ value: some CustomStringConvertible, _ range: String
  ) throws(CorpusError) {
    guard condition else {
      throw CorpusError(
        .invalidRecipe, "`\(key.stringValue)` of the MNIST recipe is \(value)", remedy: "make it \(range)")
    }
  }
}
