import Baselines
import Corpus
import Evaluation
import GenerativeModel
import Platform
import Tasks

/// A model's one step, and its recursive ones, beside optimizers that train the same random networks.
struct OptimizerSection: Encodable {
  let comparison: OptimizerComparison
  let oneStep: ModelEvaluation.Quartiles
  /// Medians for the best prompt, of networks fed back in: after 1, 2, … steps.
  @Nullable var recursive: [Float]
  /// One thread's, for one network.
  let secondsPerNetwork: Double

  private static let updates = 300

  enum CodingKeys: String, CodingKey {
    case recursive
    case oneStep = "one_step"
    case secondsPerNetwork = "seconds_per_network"
  }

  /// - Parameter directory: where the optimizers' runs are until this is complete.
  init(
    _ model: ReportedModel, _ options: ReportOptions, in directory: String, _ cancellation: Cancellation,
    _ progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) {
    let (description, measurer) = (model.description, try model.measurer())
    let evaluator = try Tasks.evaluator(
      task: description.task, recipe: description.recipe, datasets: options.datasets)
    var study = BaselineStudy.Options()
    (study.starts, study.updates, study.seed) = (options.samples, Self.updates, options.sampling.seed)
    let baseline = try BaselineStudy(
      evaluator, metric: description.metric.name, in: directory, options: study, workers: options.workers)

    let starts = try measurer.randomStarts(
      options.samples, seed: options.sampling.seed, cancellation: cancellation)
    var prompting = PromptEvaluation(
      model.sampler, measurer: measurer, options: options.sampling, workers: options.workers)
    prompting.prompts = 1
    let evaluation = try prompting.run([("random", starts)], reader: nil, cancellation: cancellation)
    guard let group = evaluation.groups.first else { preconditionFailure("there is a start") }
    (oneStep, recursive) = (group.oneStep, group.recursive)
    let began = ContinuousClock.now
    _ = try model.sampler.sample(
      starts.map {
        Prompt(start: $0.parameters, startMetric: $0.metric, targetMetric: evaluation.bestPrompt)
      }, options: options.sampling, workers: 1, cancellation: cancellation)
    secondsPerNetwork = began.duration(to: .now) / .seconds(1) / Double(starts.count)

    let curves = try baseline.run(cancellation: cancellation, progress: progress)
    comparison = OptimizerComparison(
      evaluator, metric: baseline.metric, starts: starts.count, curves: curves, oneStep: oneStep.median)
  }

  func encode(to encoder: any Encoder) throws {
    try comparison.encode(to: encoder)
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(oneStep, forKey: .oneStep)
    try members.encode(_recursive, forKey: .recursive)
    try members.encode(secondsPerNetwork, forKey: .secondsPerNetwork)
  }
}
