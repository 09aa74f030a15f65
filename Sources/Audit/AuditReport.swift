public import Corpus

/// What an audit found: how generated networks lie to those that the model learned from, beside networks of which that is
/// known. `Schemas/audit.md` has the definitions.
public struct AuditReport: Codable, Sendable {
  public static let format = "checkpoint-corpus audit"

  /// A network, and what is nearest to it.
  public struct Sample: Codable, Sendable {
    /// `generated`, `held-out`, `training`, `noise 0.1`, `interpolation`, `mean of 16`.
    public var group: String
    /// The checkpoint that it is, of a stored one.
    public var source: AuditedCheckpoint?
    /// Of a generated one.
    public var prompt: Float?
    /// Whether the prompt was the best one.
    public var isBestPrompt: Bool
    /// Measured; NaN where the task cannot be.
    @Nullable public var metric: Float
    /// In percent, of classifiers.
    public var accuracy: Float?
    /// To the nearest checkpoint of the training runs, but those of its own run.
    public var distance: Double
    /// In units of the corpus's own spread.
    @Nullable public var distanceRelative: Double
    public var nearest: AuditedCheckpoint
    /// How far it lies from the segment between its nearest checkpoints of two runs, as a part of ``distance``.
    @Nullable public var offSegment: Double
    /// The largest similarity of behaviour to one of the nearest checkpoints, or to the last one of a run.
    public var overlap: Float?
    public var overlapNearest: AuditedCheckpoint?

    enum CodingKeys: String, CodingKey {
      case group, source, prompt, metric, accuracy, distance, nearest, overlap
      case isBestPrompt = "is_best_prompt"
      case distanceRelative = "distance_relative"
      case offSegment = "off_segment"
      case overlapNearest = "overlap_nearest"
    }
  }

  /// How many samples are both at least so far from the corpus, and good.
  public struct Share: Codable, Sendable {
    /// In units of the corpus's own spread.
    public var spread: Double
    @Nullable public var share: Double
  }

  public struct Verdict: Codable, Sendable {
    /// Of the best prompt's networks.
    public var good: String
    public var all: String
  }

  public var format = Self.format
  public var version = 1
  public var task: String
  public var metric: Metric
  /// What they were compared with.
  public var checkpoints: Int
  public var runs: Int
  public var heldOutRuns: Int
  /// The median distance of held-out networks to the nearest checkpoint of the training runs.
  @Nullable public var spread: Double
  /// The metric that counts as good.
  @Nullable public var goodMetric: Float
  /// What `overlap` is; nil where the task has none.
  public var overlapMeaning: String?
  public var copyingScore: CopyingScore
  public var novelAndGood: [Share]
  public var verdict: Verdict
  /// How often the search found the nearest of a sample of checkpoints that were all compared.
  @Nullable public var recall: Double
  public var samples: [Sample]
  public var seconds: Double

  enum CodingKeys: String, CodingKey {
    case format, version, task, metric, checkpoints, runs, spread, verdict, recall, samples, seconds
    case heldOutRuns = "held_out_runs"
    case goodMetric = "good_metric"
    case overlapMeaning = "overlap_meaning"
    case copyingScore = "copying_score"
    case novelAndGood = "novel_and_good"
  }
}

extension AuditReport.Verdict {
  /// Nearer than this part of the spread, a network is a copy.
  static let copy = 0.05
  /// Nearer than this part of the spread, it is a near copy.
  static let nearCopy = 0.5
  /// If at least this part are copies, it is said.
  static let fewCopies = 0.05
  /// Nearer to the segment of two checkpoints than this part of its distance, it is an interpolation.
  static let onSegment = 0.25

  /// The rules of Schemas/audit.md, the first that holds.
  static func words(_ samples: [AuditReport.Sample], z: Double, share: (Double) -> Double) -> String {
    guard !samples.isEmpty else { return "there are none" }
    func part(_ isSo: (AuditReport.Sample) -> Bool) -> Double {
      Double(samples.count(where: isSo)) / Double(samples.count)
    }
    func percent(_ part: Double) -> String { "\(Int((100 * part).rounded())) %" }
    guard samples.allSatisfy({ $0.distanceRelative.isFinite }) else {
      return "cannot be told: there are no held-out networks to compare with, or they do not differ"
    }
    let copies = part { $0.distanceRelative < copy }
    let near = part { $0.distanceRelative < nearCopy }
    let between = part { $0.offSegment < onSegment }
    let median = samples.map(\.distanceRelative).sorted()[samples.count / 2]
    let facts =
      "\(percent(copies)) are training networks but for the order and the scale of hidden units; the median distance to "
      + "the nearest training network is \(rounded(median)) of that of held-out networks; \(percent(share(1))) are good and "
      + "at least as far from every training network as held-out networks are, and \(percent(share(3))) three times as far"
    if copies >= 0.5 { return "copies: \(facts)" }
    if between >= 0.5 {
      return "interpolations: \(percent(between)) lie between two training networks; \(facts)"
    }
    if near >= 0.5 || z < -3 && median < 0.8 {
      return "near copies: \(percent(near)) are nearer than half; \(facts)"
    }
    if copies >= fewCopies { return "copies among them: \(facts)" }
    if median >= 0.8 { return "no copies: \(facts)" }
    return "nearer than held-out networks, and no copies: \(facts)"
  }

  private static func rounded(_ value: Double) -> Double { (100 * value).rounded() / 100 }
}
