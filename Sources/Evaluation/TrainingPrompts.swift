public import Platform
public import ShardStore
public import Corpus
public import Datasets
public import GenerativeModel

/// What a model is prompted for while it is trained: values from the start's own to what the best tenth of the corpus
/// reaches, from the first checkpoints of held-out runs and from random networks.
///
/// Few starts, and always the same noise: it tells better weights from worse in seconds. `corpus evaluate` takes more,
/// and other random networks, on which no weights have been chosen.
public struct TrainingPrompts: Sendable {
  private let measurer: TaskMeasurer
  private let groups: [(name: String, starts: [Start])]
  private let workers: Int
  private let bestPrompt: Float

  /// Starts of each kind.
  private static let networks = 16
  private static let prompts = 10
  private static let samplingSteps = 10
  /// The seed of the random starts; `corpus evaluate` takes small ones.
  private static let seed: UInt64 = 1 << 29

  /// - Parameter datasets: where the images are, for tasks that need some.
  /// - Throws: `cannotReplay` for a task, or a metric, that this program cannot measure; what is wrong with the data.
  public init(
    _ description: ModelDescription, on corpus: CorpusDirectory, datasets: DatasetsDirectory, workers: Int
  ) throws(CorpusError) {
    measurer = try TaskMeasurer(of: description, datasets: datasets, workers: workers)
    let heldOut = try StartReader(corpus, for: description).initialStarts(Self.networks, split: "test")
    groups = [
      ("held-out runs", heldOut), ("random", try measurer.randomStarts(Self.networks, seed: Self.seed)),
    ].filter { !$0.1.isEmpty }
    self.workers = workers
    bestPrompt = description.bestPrompt
  }

  /// ``evaluate(_:cancellation:)`` as the function that a training job wants.
  public func evaluating(
    until cancellation: Cancellation
  ) -> (Sampler) throws(CorpusError) -> TrainingEvaluation {
    { (model) throws(CorpusError) in try evaluate(model, cancellation: cancellation) }
  }

  /// Draws a network for every prompt, and measures it on the task.
  ///
  /// - Throws: `interrupted`.
  public func evaluate(_ model: Sampler, cancellation: Cancellation) throws(CorpusError) -> TrainingEvaluation
  {
    var prompting = PromptEvaluation(
      model, measurer: measurer,
      options: SamplingOptions(steps: min(Self.samplingSteps, model.description.model.diffusionSteps)),
      workers: workers)
    prompting.prompts = Self.prompts
    prompting.recursions = 1
    prompting.bestPrompt = bestPrompt
    let evaluation = try prompting.run(groups, reader: nil, cancellation: cancellation)
    return TrainingEvaluation(
      step: model.description.step, bestPrompt: bestPrompt,
      groups: evaluation.groups.map {
        TrainingEvaluation.Group(
          starts: $0.starts, alignment: $0.alignment, oneStep: $0.oneStep.median,
          prompts: TrainingEvaluation.Prompts(
            startMetrics: $0.startMetrics, prompted: $0.prompted, observed: $0.observed))
      })
  }
}
