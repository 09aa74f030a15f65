public import Corpus
public import Tasks

/// How the metric goes over an optimizer's updates.
public struct OptimizerCurve: Codable, Sendable {
  /// A learning rate that was tried on other starts.
  public struct Trial: Codable, Hashable, Sendable {
    public var learningRate: Double
    /// The mean over the checkpoints of the median over those starts.
    @Nullable public var median: Double

    public init(learningRate: Double, median: Double) {
      (self.learningRate, self.median) = (learningRate, median)
    }

    enum CodingKeys: String, CodingKey {
      case median
      case learningRate = "learning_rate"
    }
  }

  public var name: OptimizerSettings.Name
  public var learningRate: Double
  public var tried: [Trial]
  /// The updates before each checkpoint: 0, …
  public var updates: [Int]
  /// Quartiles over the starts, an entry a checkpoint: lower is the worse quarter.
  @Nullable public var lower: [Float]
  @Nullable public var median: [Float]
  @Nullable public var upper: [Float]
  /// On this machine, by one thread, without measuring the metric.
  public var secondsPerUpdate: Double
  /// The first checkpoint whose median is as good as the model's one step; nil where none is.
  public var updatesToOneStep: Int?
  public var secondsToOneStep: Double?

  enum CodingKeys: String, CodingKey {
    case name, tried, updates, lower, median, upper
    case learningRate = "learning_rate"
    case secondsPerUpdate = "seconds_per_update"
    case updatesToOneStep = "updates_to_one_step"
    case secondsToOneStep = "seconds_to_one_step"
  }

  /// - Parameter values: (starts, checkpoints).
  init(
    _ optimizer: OptimizerSettings, tried: [Trial], updates: [Int], values: [[Float]], goal: Metric.Goal,
    secondsPerUpdate: Double
  ) {
    (name, learningRate, self.tried, self.updates) = (optimizer.name, optimizer.learningRate, tried, updates)
    self.secondsPerUpdate = secondsPerUpdate
    func quantiles(_ part: Double) -> [Float] {
      updates.indices.map { checkpoint in Self.quantile(values.map { $0[checkpoint] }, part, goal) }
    }
    (lower, median, upper) = (quantiles(0.25), quantiles(0.5), quantiles(0.75))
  }

  /// The value that this part of all is not better than. What is no number is the worst.
  static func quantile(_ values: [Float], _ part: Double, _ goal: Metric.Goal) -> Float {
    let numbers = values.filter { !$0.isNaN }.sorted { goal == .maximize ? $0 < $1 : $0 > $1 }
    let ordered = values.filter(\.isNaN) + numbers
    return ordered.isEmpty ? .nan : ordered[Int((part * Double(ordered.count - 1)).rounded())]
  }

  /// Notes when it is as good as a model's one step.
  mutating func compare(with oneStep: Float, goal: Metric.Goal) {
    let first = median.firstIndex { goal == .maximize ? $0 >= oneStep : $0 <= oneStep }
    updatesToOneStep = first.map { updates[$0] }
    secondsToOneStep = updatesToOneStep.map { Double($0) * secondsPerUpdate }
  }
}

/// A model's one step beside optimizers, from the same starts.
public struct OptimizerComparison: Codable, Sendable {
  public var metric: Metric
  /// Whether gradients of it exist; if not, optimizers follow those of what stands for it.
  public var differentiable: Bool
  public var note: String
  public var starts: Int
  public var optimizers: [OptimizerCurve]

  /// - Parameters:
  ///   - oneStep: the median of what the model's networks reach from the same starts; nil where there is no model.
  public init(_ task: any Evaluator, metric: Metric, starts: Int, curves: [OptimizerCurve], oneStep: Float?) {
    self.metric = metric
    self.starts = starts
    differentiable = metric.name.hasSuffix("_loss")
    let update = (type(of: task) as? any OptimizedTask.Type)?.update ?? "an update"
    note =
      "An update is \(update). "
      + (differentiable
        ? "The loss of a batch is what they descend, the loss of all test images what is shown."
        : "\(metric.name) has no gradient: what they descend stands for it.")
    optimizers = curves.map { curve in
      guard let oneStep, !oneStep.isNaN else { return curve }
      var curve = curve
      curve.compare(with: oneStep, goal: metric.goal)
      return curve
    }
  }
}
