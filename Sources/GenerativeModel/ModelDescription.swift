public import Corpus
package import Foundation

/// What `model.json` says of a model; Schemas/model.md describes it.
public struct ModelDescription: Hashable, Sendable, Codable {
  public static let format = "checkpoint-corpus model"
  public static let version = 1

  public var format = Self.format
  public var version = Self.version
  public var task: String
  public var architecture: Architecture
  /// The recipe of the corpus's runs, which says how networks of the task are evaluated.
  public var recipe: JSONValue
  /// The metric of prompts.
  public var metric: Metric
  /// The lowest and the highest value of the metric that the corpus holds.
  public var metricRange: [Float]
  /// The value of the metric that the best tenth of the corpus's checkpoints reaches; nil in files from before there was one.
  public var bestTenth: Float?
  /// What the parameters of networks are multiplied by.
  public var scale: Float
  public var corpus: Source
  public var model: ModelConfiguration
  public var training: TrainingConfiguration
  /// The updates done.
  public var step = 0
  public var history: [HistoryEntry] = []
  /// How well prompts were met while it was trained; nil in files from before that was measured.
  public var evaluations: [TrainingEvaluation]?
  /// The hash of `model.json`, which only that file has.
  var sha256: String?

  /// The corpus that it learns from.
  public struct Source: Hashable, Sendable, Codable {
    /// Where the corpus was.
    public var path: String
    /// Names the sequence of its pairs.
    public var fingerprint: String
    /// Training runs.
    public var runs: Int
    /// A condition on runs and checkpoints, in SQL.
    public var condition: String?
    /// Pairs of an epoch.
    public var pairsPerEpoch: Int
    /// The statuses of runs that are learned from; nil for `ok` alone.
    public var statuses: [RunStatus]?

    package init(
      path: String, fingerprint: String, runs: Int, condition: String? = nil, pairsPerEpoch: Int,
      statuses: [RunStatus]? = nil
    ) {
      (self.path, self.fingerprint, self.pairsPerEpoch) = (path, fingerprint, pairsPerEpoch)
      (self.runs, self.condition, self.statuses) = (runs, condition, statuses)
    }

    package var wantedStatuses: Set<RunStatus> { statuses.map { Set($0) } ?? [.ok] }

    enum CodingKeys: String, CodingKey {
      case path, fingerprint, runs, condition, statuses
      case pairsPerEpoch = "pairs_per_epoch"
    }
  }

  /// How training went, now and then.
  public struct HistoryEntry: Hashable, Sendable, Codable {
    public var step: Int
    /// The loss, smoothed over about 50 updates.
    public var loss: Double
    /// The loss on pairs of held-out runs, by the averaged weights.
    public var heldOutLoss: Double?

    enum CodingKeys: String, CodingKey {
      case step, loss
      case heldOutLoss = "held_out_loss"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, task, architecture, recipe, metric, scale, corpus, model, training, step, history
    case evaluations, sha256
    case metricRange = "metric_range"
    case bestTenth = "best_tenth"
  }

  /// A model that has yet to be trained.
  package init(
    task: String, architecture: Architecture, recipe: JSONValue, metric: Metric, metricRange: [Float],
    bestTenth: Float? = nil, scale: Float, corpus: Source, configuration: GPTConfiguration
  ) {
    (self.task, self.architecture, self.recipe, self.corpus) = (task, architecture, recipe, corpus)
    (self.metric, self.metricRange, self.bestTenth, self.scale) = (metric, metricRange, bestTenth, scale)
    (model, training) = (configuration.model, configuration.training)
  }

  /// Reads the text of a `model.json`.
  ///
  /// - Throws: `malformedModel`, `unsupportedVersion`, or what is wrong with the configuration.
  package static func parse(_ data: Data, path: String) throws(CorpusError) -> ModelDescription {
    var head: JSONValue?
    do throws(JSONProblem) {
      head = try CanonicalJSON.decode(JSONValue.self, from: data)
    } catch {
      if let refusal = error.refusal {
        throw CorpusError(.malformedModel, "in \(path), \(refusal.message)", remedy: refusal.remedy)
      }
    }
    guard let head, head["format"] == .string(format) else {
      throw CorpusError(
        .malformedModel, "\(path) is no description of a model",
        remedy: "name the directory that `corpus train --out` made")
    }
    guard head["version"] == .number(Double(version)) else {
      throw CorpusError(
        .unsupportedVersion,
        "\(path) has format version \(head["version"] ?? .null), and this program reads "
          + "version \(version)", remedy: "use the release of checkpoint-corpus that wrote it, or a newer one"
      )
    }
    if case .string(let digits)? = head["sha256"], try !EmbeddedHash.holds(digits, in: data) {
      throw CorpusError(
        .malformedModel, "\(path) is damaged: it does not have the SHA-256 that it says",
        remedy: "restore it from a copy; if you have changed it yourself, take out its member sha256")
    }
    var description: ModelDescription
    do {
      description = try CanonicalJSON.decode(
        ModelDescription.self, from: CanonicalJSON.data(try GPTConfiguration.completed(head), pretty: false))
    } catch {
      throw CorpusError(
        .malformedModel, "\(path) is damaged", remedy: "restore it from a copy, or train the model again",
        cause: "\(error)")
    }
    guard description.metricRange.count == 2, description.scale.isFinite, description.scale != 0 else {
      throw CorpusError(
        .malformedModel, "\(path) is damaged", remedy: "restore it from a copy, or train the model again")
    }
    try description.model.validate()
    try description.training.validate()
    description.sha256 = nil
    return description
  }

  /// The text of a `model.json`, with its hash.
  package func sealed() throws(CorpusError) -> Data {
    var copy = self
    copy.sha256 = EmbeddedHash.placeholder
    return try EmbeddedHash.seal(CanonicalJSON.data(copy, pretty: true))
  }
}

extension ModelDescription {
  /// The evaluation with the best alignment, the first of equals: that of the weights in `model.safetensors`.
  ///
  /// Not that of the untrained model, which shows where the way began: it gives starts back as they are, and much
  /// of what is learned first is worse than that.
  public var bestEvaluation: TrainingEvaluation? {
    evaluations?.filter { $0.step > 0 }.reduce(nil) { best, next in
      next.alignment > best?.alignment ?? -.infinity ? next : best
    }
  }

  /// Whether so many evaluations as the configuration's patience have brought nothing better.
  public var hasStalled: Bool {
    guard let patience = training.patience, let best = bestEvaluation else { return false }
    return (evaluations ?? []).count { $0.step > best.step } >= patience
  }

  /// Notes the losses after the updates done.
  package mutating func record(loss: Double, heldOutLoss: Double?) {
    let heldOutLoss = heldOutLoss.flatMap { $0.isFinite ? $0 : nil }
    history.append(HistoryEntry(step: step, loss: loss, heldOutLoss: heldOutLoss))
  }

  /// What a model is prompted for at most where nobody says otherwise: what the best tenth of its corpus reaches.
  public var bestPrompt: Float { bestTenth ?? bestValue }

  /// The best value of the metric that the corpus holds.
  public var bestValue: Float { metric.goal == .maximize ? metricRange[1] : metricRange[0] }
}
