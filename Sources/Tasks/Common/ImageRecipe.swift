package import Corpus
package import Datasets

/// What the recipes of tasks that classify images have in common.
package protocol ImageRecipe: ScheduledRecipe {
  var dataset: DatasetIdentity { get }
  /// Passes over the training images.
  var epochs: Int { get }
  /// Images of an optimizer step.
  var batchSize: Int { get }
  var learningRate: Double { get }
  var momentum: Double { get }
  var weightDecay: Double { get }

  func validate() throws(CorpusError)
}

/// The names of the members in JSON.
private enum Key: String, CodingKey {
  case dataset, epochs, checkpoints, momentum
  case batchSize = "batch_size"
  case learningRate = "learning_rate"
  case weightDecay = "weight_decay"
}

extension ImageRecipe {
  /// The optimizer steps of an epoch.
  public var stepsPerEpoch: Int { dataset.trainImages / max(1, batchSize) }

  /// The optimizer steps of a run.
  public var iterations: Int { epochs * stepsPerEpoch }

  /// The recipe in the one way in which it is recorded.
  ///
  /// - Throws: `invalidRecipe` if no run can be made after it.
  func settled(task: String) throws(CorpusError) -> Self {
    try validate()
    var recipe = self
    try recipe.settleSchedule(task: task, metrics: imageMetrics, usual: .testLoss)
    return recipe
  }

  /// Checks the numbers that all of these recipes have.
  ///
  /// - Parameters:
  ///   - batchSizes: the possible ones, of which only multiples of `factor` are.
  ///   - range: the same in words.
  func validateTraining(batchSizes: ClosedRange<Int>, factor: Int = 1, _ range: String) throws(CorpusError) {
    try Self.require(
      dataset.hasPossibleCounts, Key.dataset, "\(dataset.trainImages) + \(dataset.testImages) images",
      "a data set of 1 to 10000000 images in each part")
    try Self.require((1...100_000).contains(epochs), Key.epochs, epochs, "from 1 to 100000")
    try Self.require(
      batchSizes.contains(batchSize) && batchSize.isMultiple(of: factor), Key.batchSize, batchSize, range)
    try Self.require(
      batchSize <= dataset.trainImages, Key.batchSize, batchSize,
      "at most the number of training images, \(dataset.trainImages)")
    try Self.require(
      checkpoints >= 2 && checkpoints <= iterations + 1, Key.checkpoints, checkpoints,
      "from 2 to the number of optimizer steps + 1 = \(iterations + 1)")
    try Self.require(
      iterations < Int(Int32.max), Key.epochs, epochs, "fewer: there are \(iterations) optimizer steps")
    try Self.require(
      learningRate > 0 && learningRate <= 1e6, Key.learningRate, learningRate, "above 0 and at most 1e6")
    try Self.require((0..<1).contains(momentum), Key.momentum, momentum, "at least 0 and below 1")
    try Self.require(weightDecay >= 0 && weightDecay <= 1, Key.weightDecay, weightDecay, "from 0 to 1")
  }
}
