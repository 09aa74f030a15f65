import Corpus
import Evaluation
import GenerativeModel
import Platform

/// How well prompts are met: those within what the corpus reaches, and the published ones, from starts of three kinds.
struct PromptSection: Encodable {
  let withinCorpus: ModelEvaluation
  /// Nil where these are the same.
  let published: ModelEvaluation?

  private static let prompts = 10

  enum CodingKeys: String, CodingKey {
    case published
    case withinCorpus = "within_corpus"
  }

  init(
    _ model: ReportedModel, _ options: ReportOptions, _ cancellation: Cancellation,
    _ progress: (Int, Int) -> Void
  ) throws(CorpusError) {
    let (measurer, reader) = (try model.measurer(), try model.starts())
    let groups = [
      ("training runs", try reader.initialStarts(options.samples, split: "train")),
      ("held-out runs", try reader.initialStarts(options.samples, split: "test")),
      ("random", try measurer.randomStarts(options.samples, seed: options.sampling.seed)),
    ]
    let within = model.description.bestPrompt
    let widest = PromptEvaluation.publishedPrompt(model.description)
    let all = widest == within ? [within] : [within, widest]
    func evaluation(_ number: Int) throws(CorpusError) -> ModelEvaluation {
      var prompting = PromptEvaluation(
        model.sampler, measurer: measurer, options: options.sampling, workers: options.workers)
      prompting.prompts = Self.prompts
      prompting.bestPrompt = all[number]
      return try prompting.run(groups, reader: reader, cancellation: cancellation) {
        progress(number * $1 + $0, all.count * $1)
      }
    }
    withinCorpus = try evaluation(0)
    published = all.count > 1 ? try evaluation(1) : nil
  }
}

/// How prompts were met on the way, as training has stored it.
struct OverTrainingSection: Encodable {
  let evaluations: [TrainingEvaluation]

  /// - Throws: `emptySelection` for a model whose training was not evaluated.
  init(_ description: ModelDescription) throws(CorpusError) {
    guard let evaluations = description.evaluations, !evaluations.isEmpty else {
      throw CorpusError(
        .emptySelection, "prompts were not evaluated while the model was trained",
        remedy: "train one without --evaluate-every 0, on a task that this program measures")
    }
    self.evaluations = evaluations
  }
}
