public import Corpus
public import GenerativeModel

/// How well prompts are met, up to the published best one and up to what the best tenth of the corpus reaches: what a
/// report shows of ``PromptEvaluation/runBesidePublished(_:reader:cancellation:progress:)``.
public struct PromptsSection: Codable, Sendable {
  public var published: ModelEvaluation
  public var withinCorpus: ModelEvaluation

  /// Both of them apart; the same one twice where their best prompts are the same.
  public init(_ evaluation: ModelEvaluation) {
    withinCorpus = evaluation
    withinCorpus.published = nil
    published = withinCorpus
    if let other = evaluation.published {
      published.bestPrompt = other.bestPrompt
      published.groups = other.groups
    }
  }

  enum CodingKeys: String, CodingKey {
    case published
    case withinCorpus = "within_corpus"
  }
}

/// How well prompts were met while a model was trained, from before the first update on.
public struct OverTraining: Codable, Sendable {
  public var metric: Metric
  /// The updates of the weights that the model has: those of its best evaluation.
  public var kept: Int
  /// In the order of updates.
  public var evaluations: [TrainingEvaluation]

  /// - Throws: `emptySelection` for a model whose training has evaluated nothing.
  public init(_ description: ModelDescription) throws(CorpusError) {
    guard let evaluations = description.evaluations, !evaluations.isEmpty else {
      throw CorpusError(
        .emptySelection, "the model has no evaluations: none were made while it was trained",
        remedy:
          "train one with --evaluate-every above 0, on a task that this program can measure; `corpus evaluate` "
          + "without --over-training measures the model as it is")
    }
    metric = description.metric
    kept = description.bestEvaluation?.step ?? description.step
    self.evaluations = evaluations
  }
}
