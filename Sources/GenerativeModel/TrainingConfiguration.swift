public import Corpus
import PairSampling

/// How a G.pt is trained.
public struct TrainingConfiguration: Hashable, Sendable, Codable {
  /// Pairs of an update.
  public var batch: Int
  public var learningRate: Float
  /// Updates from 0 to that rate, linear; then it falls to 0 by a half cosine.
  public var warmup: Int
  /// Updates in all.
  public var steps: Int
  public var beta1: Float = 0.9
  public var beta2: Float = 0.999
  /// AdamW's decay of the weights of linear layers; nothing else decays.
  public var weightDecay: Float = 0.1
  /// The largest norm of the gradient; nil for any.
  public var gradientClip: Float?
  /// The decay of the exponential moving average of the weights, which samples are drawn with; at first smaller:
  /// (1 + t) / (10 + t) at update t.
  public var emaDecay: Float = 0.9999
  /// About so many checkpoints of each run are learned from, evenly spaced; nil for all.
  ///
  /// Where they are few, the start of a pair is often an initial network and its target far away, as in most prompts.
  public var checkpointsPerRun: Int?
  /// How targets are drawn: `none` for evenly over a run's checkpoints, as published; `metric`, `quantile` or `log` for
  /// evenly over the metric, its quantiles or its logarithm.
  public var balance = "none"
  /// The share of pairs that start at a run's first checkpoint; nil for starts as the spacing has them.
  public var initialStarts: Double?
  /// Whether targets come after their starts alone, `forward`, or before them, too: `both`.
  public var directions = "forward"
  /// The share of pairs whose target is the start itself or next to it.
  public var unchanged = 0.0
  /// What is done to hidden units: `none`, `permute` or `canonical`; `automatic` for `permute` where the corpus declares
  /// permutation groups, and `none` elsewhere.
  public var augmentation = "automatic"
  /// Updates from one evaluation of prompts to the next; nil for a twentieth of all, 0 for no evaluations.
  public var evaluateEvery: Int?
  /// Evaluations without a better alignment after which training ends; nil to go on to the last update.
  public var patience: Int?
  public var seed: UInt64 = 0

  enum CodingKeys: String, CodingKey {
    case batch, warmup, steps, beta1, beta2, balance, directions, unchanged, augmentation, patience, seed
    case learningRate = "learning_rate"
    case weightDecay = "weight_decay"
    case gradientClip = "gradient_clip"
    case emaDecay = "average_decay"
    case checkpointsPerRun = "checkpoints_per_run"
    case initialStarts = "initial_starts"
    case evaluateEvery = "evaluate_every"
  }

  public init(batch: Int, learningRate: Float, warmup: Int, steps: Int) {
    self.batch = batch
    self.learningRate = learningRate
    self.warmup = warmup
    self.steps = steps
  }

  /// - Throws: `invalidRecipe`, naming the first value that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try require((1...1 << 20).contains(batch), "batch is \(batch)", "make it from 1 to 2^20")
    try require(
      learningRate > 0 && learningRate < 1, "learning_rate is \(learningRate)", "make it from 0 to 1")
    try require((0..<1 << 32).contains(steps), "steps is \(steps)", "make it at least 0 and below 2^32")
    try require(warmup >= 0, "warmup is \(warmup)", "make it at least 0 steps")
    try require((0..<1).contains(beta1) && (0..<1).contains(beta2), "a beta is not below 1", "make it so")
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "weight_decay is \(weightDecay)", "make it at least 0")
    if let gradientClip {
      try require(gradientClip > 0, "gradient_clip is \(gradientClip)", "make it above 0, or leave it out")
    }
    try require(
      (0..<1).contains(emaDecay), "average_decay is \(emaDecay)", "make it at least 0 and below 1")
    if let checkpointsPerRun {
      try require(
        checkpointsPerRun >= 2, "checkpoints_per_run is \(checkpointsPerRun)",
        "make it at least 2, or leave it out")
    }
    try requireCase(of: PairStreamOptions.Augmentation.self, "augmentation", augmentation)
    try requireCase(of: PairStreamOptions.Balance.self, "balance", balance)
    try requireCase(of: PairStreamOptions.Directions.self, "directions", directions)
    for (name, share) in [("initial_starts", initialStarts), ("unchanged", unchanged)] {
      if let share {
        try require((0...1).contains(share), "\(name) is \(share)", "make it from 0 to 1")
      }
    }
    if let evaluateEvery {
      try require(evaluateEvery >= 0, "evaluate_every is \(evaluateEvery)", "make it at least 0 updates")
    }
    if let patience {
      try require(
        patience >= 1, "patience is \(patience)", "make it at least 1 evaluation, or leave it out")
    }
  }

  private func requireCase<Choice: RawRepresentable & CaseIterable>(
    of choices: Choice.Type, _ name: String, _ value: String
  ) throws(CorpusError) where Choice.RawValue == String {
    try require(
      Choice(rawValue: value) != nil, "\(name) is \(value)",
      "make it one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
  }

  /// Evaluations of a training whose configuration does not say how often.
  package static let usualEvaluations = 20

  /// Updates from one evaluation of prompts to the next; nil where there are none.
  package var evaluationInterval: Int? {
    switch evaluateEvery {
    case 0: nil
    case let interval?: interval
    case nil: max(1, steps / Self.usualEvaluations)
    }
  }

  /// What the pairs' runs and checkpoints must be, in SQL.
  ///
  /// - Parameter own: a further condition on them.
  package func condition(_ own: String?) -> String? {
    guard let checkpointsPerRun else { return own }
    let spaced = "step % max(1, runs.checkpoints / \(checkpointsPerRun)) = 0"
    return own.map { "(\n\($0)\n) AND \(spaced)" } ?? spaced
  }

  /// The learning rate of an update, counted from 0.
  public func learningRate(at update: Int) -> Float {
    if update < warmup { return learningRate * Float(update + 1) / Float(warmup) }
    let progress = Double(update - warmup) / Double(max(1, steps - warmup))
    return Float(Double(learningRate) * cosineHalf(min(1, progress)))
  }

  /// The decay of the weights' moving average at an update, counted from 0.
  public func emaDecay(at update: Int) -> Float { min(emaDecay, Float(1 + update) / Float(10 + update)) }
}
