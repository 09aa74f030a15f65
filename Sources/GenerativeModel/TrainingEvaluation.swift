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

    public init(starts: String, alignment: Double, oneStep: Float) {
      self.starts = starts
      self.alignment = alignment
      self.oneStep = oneStep
    }

    enum CodingKeys: String, CodingKey {
      case starts, alignment
      case oneStep = "one_step"
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
