import Corpus

extension PairStreamOptions {
  /// How the metrics of targets are spread; Schemas/pair-stream.md says exactly.
  public enum Balance: String, Sendable, CaseIterable {
    /// As they come: start and spacing are drawn as published.
    case none
    /// Evenly over the metric's range.
    case metric
    /// Evenly over its quantiles among the selected checkpoints.
    case quantile
    /// Evenly over its logarithm.
    case log
  }

  /// Whether training forgets, too.
  public enum Directions: String, Sendable, CaseIterable {
    /// The start comes before the target. Where a balance draws the first checkpoint, it is its own start.
    case forward
    /// Either may come first.
    case both
  }

  /// What is drawn otherwise from an epoch on. What is nil, is as the stream's own options say.
  public struct Stage: Sendable, Hashable {
    /// The epoch that it begins with, counted from 0.
    public var firstEpoch: Int
    /// A SQL condition besides the stream's own.
    public var condition: String?
    public var balance: Balance?
    public var balanceRange: ClosedRange<Float>?
    /// 0 for no more than come by chance.
    public var initialStarts: Double?
    public var directions: Directions?
    public var unchanged: Double?
    public var runWeights: String?

    public init(firstEpoch: Int) { self.firstEpoch = firstEpoch }
  }

  /// The options by which a stage draws; its condition is left to who selects the runs.
  func drawing(in stage: Stage) -> PairStreamOptions {
    var options = self
    options.balance = stage.balance ?? balance
    options.balanceRange = stage.balanceRange ?? (options.balance == .none ? nil : balanceRange)
    options.initialStarts = stage.initialStarts ?? initialStarts
    options.directions = stage.directions ?? directions
    options.unchanged = stage.unchanged ?? unchanged
    options.runWeights = stage.runWeights ?? runWeights
    options.stages = []
    return options
  }

  /// Whether pairs are drawn as published.
  var isPublished: Bool {
    balance == .none && initialStarts ?? 0 == 0 && directions == .forward && unchanged == 0
  }

  /// Whether metrics decide what is drawn, in some epoch.
  var isBalanced: Bool { balance != .none || stages.contains { $0.balance ?? .none != .none } }

  /// What differs from the published sampling, for the name of the sequence.
  var drawingNames: [String] {
    var names: [String] = []
    if balance != .none { names.append("balance \(balance.rawValue)") }
    if let balanceRange { names.append("range \(balanceRange.lowerBound) \(balanceRange.upperBound)") }
    if let initialStarts, initialStarts > 0 { names.append("starts \(initialStarts)") }
    if directions != .forward { names.append("directions \(directions.rawValue)") }
    if unchanged > 0 { names.append("unchanged \(unchanged)") }
    if let runWeights { names.append("weights \(runWeights.debugDescription)") }
    for stage in stages {
      let condition = stage.condition.map { ["condition \($0.debugDescription)"] } ?? []
      names += ["stage \(stage.firstEpoch)"] + condition + drawing(in: stage).drawingNames
    }
    return names
  }

  func validateDrawing() throws(CorpusError) {
    for (name, fraction) in [("initial starts", initialStarts ?? 0), ("unchanged pairs", unchanged)] {
      try require((0...1).contains(fraction), "the share of \(name) is \(fraction)", "make it from 0 to 1")
    }
    if let balanceRange {
      let (low, high) = (balanceRange.lowerBound, balanceRange.upperBound)
      try require(
        balance != .none, "a range to balance over is given, and no balance",
        "choose balance metric, quantile or log")
      try require(
        low.isFinite && high.isFinite && low < high, "the range to balance over is from \(low) to \(high)",
        "make it from a number to a higher one")
      try require(
        balance != .log || low > 0, "balance log goes over positive values, and the range begins at \(low)",
        "begin it above 0, or choose balance metric or quantile")
    }
    if item == .checkpoints {
      try require(
        initialStarts ?? 0 == 0 && directions == .forward && unchanged == 0,
        "starts, directions and unchanged pairs are asked for, and single checkpoints are not pairs",
        "leave them as they are, or draw pairs")
    }
    for (stage, next) in zip(stages, stages.dropFirst()) {
      try require(
        stage.firstEpoch < next.firstEpoch,
        "a stage from epoch \(next.firstEpoch) on follows one from epoch \(stage.firstEpoch) on",
        "put the stages in the order of their first epochs")
    }
    for stage in stages {
      try require(
        stage.firstEpoch >= 0 && stage.firstEpoch < 1 << 28, "a stage begins at epoch \(stage.firstEpoch)",
        "begin it at an epoch from 0 to 2^28 - 1")
      try drawing(in: stage).validateDrawing()
    }
  }
}
