public import Corpus

/// How well the networks that a model writes while it is trained reach what they are prompted for.
public struct TrainingEvaluation: Hashable, Sendable, Codable {
  /// Prompts from some kind of starts.
  public struct Group: Hashable, Sendable, Codable {
    /// `held-out runs`, at their initial checkpoints, or `random`: fresh networks as runs begin with.
    public var starts: String
    /// The mean over starts of R^2 = 1 - sum (prompted - observed)^2 / sum (prompted - mean prompted)^2; NaN
    /// where a network has no finite metric.
    @Nullable public var alignment: Double
    /// The median of what the best prompt reaches in one step.
    @Nullable public var oneStep: Float
    /// What was prompted for and reached; nil in files from before that was kept.
    public var prompts: Prompts?

    public init(starts: String, alignment: Double, oneStep: Float, prompts: Prompts? = nil) {
      self.starts = starts
      self.alignment = alignment
      self.oneStep = oneStep
      self.prompts = prompts
    }

    enum CodingKeys: String, CodingKey {
      case starts, alignment
      case oneStep = "one_step"
    }

    public init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: CodingKeys.self)
      starts = try members.decode(String.self, forKey: .starts)
      _alignment = try members.decode(Nullable<Double>.self, forKey: .alignment)
      _oneStep = try members.decode(Nullable<Float>.self, forKey: .oneStep)
      let isThere = try decoder.container(keyedBy: Prompts.CodingKeys.self).contains(.observed)
      prompts = isThere ? try Prompts(from: decoder) : nil
    }

    /// In JSON, the members of ``prompts`` are the group's own, as in a whole evaluation.
    public func encode(to encoder: any Encoder) throws {
      var members = encoder.container(keyedBy: CodingKeys.self)
      try members.encode(starts, forKey: .starts)
      try members.encode(_alignment, forKey: .alignment)
      try members.encode(_oneStep, forKey: .oneStep)
      try prompts?.encode(to: encoder)
    }
  }

  /// Prompts from some starts, one after the other.
  public struct Prompts: Hashable, Sendable, Codable {
    /// The metric of each start: (starts).
    @Nullable public var startMetrics: [Float]
    /// (starts, prompts): evenly spaced from a start's own metric to the best prompt.
    @Nullable public var prompted: [[Float]]
    /// What was reached: (starts, prompts).
    @Nullable public var observed: [[Float]]

    public init(startMetrics: [Float], prompted: [[Float]], observed: [[Float]]) {
      self.startMetrics = startMetrics
      self.prompted = prompted
      self.observed = observed
    }

    enum CodingKeys: String, CodingKey {
      case prompted, observed
      case startMetrics = "start_metrics"
    }
  }

  /// The updates before it.
  public var step: Int
  public var bestPrompt: Float
  public var groups: [Group]

  public init(step: Int, bestPrompt: Float, groups: [Group]) {
    self.step = step
    self.bestPrompt = bestPrompt
    self.groups = groups
  }

  /// The mean over the groups, which tells better weights from worse. Networks that cannot be measured count as worst.
  public var alignment: Double {
    let values = groups.map { $0.alignment.isFinite ? $0.alignment : -.greatestFiniteMagnitude }
    return values.isEmpty ? -.infinity : values.reduce(0) { $0 + $1 / Double(values.count) }
  }

  enum CodingKeys: String, CodingKey {
    case step, groups
    case bestPrompt = "best_prompt"
  }
}
