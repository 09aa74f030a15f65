public import Corpus
import CorpusStore
public import Datasets
import Evaluation
public import GenerativeModel
import MetricIndex
public import Platform
import PairSampling
public import ShardStore
import Tasks

/// Draws networks from a model, and audits them against the corpus that it learned from.
public struct ModelAudit: Sendable {
  /// Which networks are drawn.
  public struct Options: Sendable {
    /// Networks: half for the best prompt, half for prompts spread evenly from their starts' own metric to it.
    public var samples = 200
    public var sampling = SamplingOptions(steps: 20)

    public init() {}
  }

  private let model: Sampler
  private let evaluator: (any Evaluator)?
  private let options: Options
  private let workers: Int

  /// - Parameter datasets: where the images are, for tasks that need some.
  /// - Throws: what is wrong with the data; a task that cannot be measured is audited without its metric.
  public init(
    _ model: Sampler, datasets: DatasetsDirectory, options: Options, workers: Int
  ) throws(CorpusError) {
    (self.model, self.options, self.workers) = (model, options, workers)
    do throws(CorpusError) {
      evaluator = try Tasks.evaluator(
        task: model.description.task, recipe: model.description.recipe, datasets: datasets)
    } catch  where error.code == .cannotReplay {
      evaluator = nil
    }
  }

  /// Whether the networks of the task can be measured.
  public var canMeasure: Bool { evaluator != nil }

  /// - Parameter corpus: the one that the model was trained on.
  public func run(
    on corpus: CorpusDirectory, cancellation: Cancellation = Cancellation(),
    progress: @escaping @Sendable (String, Int, Int) -> Void = { _, _, _ in }
  ) throws(CorpusError) -> AuditReport {
    let description = model.description
    let starts = try StartReader(corpus, for: description)
    let candidates = try draw(starts, cancellation) { progress("drawing", $0, $1) }
    let reader = CorpusReader(try IndexReader(opening: corpus))
    func runs(_ split: String) throws(CorpusError) -> [Int64] {
      let conditions = split == "train" ? [description.corpus.condition].compactMap { $0 } : []
      return try reader.index.runTable(
        RunFilter(
          split: split, statuses: description.corpus.wantedStatuses, conditions: conditions,
          measured: description.metric.name)
      ).runs
    }
    let audit = try NetworkAudit(
      reader, trainingRuns: runs("train"), heldOutRuns: runs("test"), metric: description.metric,
      goodMetric: goodMetric, evaluator: evaluator, workers: workers)
    return try audit.run(candidates, cancellation: cancellation) { progress($0.rawValue, $1, $2) }
  }

  /// The best prompt, and a tenth of the corpus's range less.
  private var goodMetric: Float {
    let description = model.description
    let tenth = (description.metricRange[1] - description.metricRange[0]) / 10
    return description.metric.goal == .maximize
      ? description.bestPrompt - tenth : description.bestPrompt + tenth
  }

  /// Half from random networks where they can be made and measured, half from held-out runs; all from training runs where
  /// there is neither.
  private func draw(
    _ reader: StartReader, _ cancellation: Cancellation, _ progress: @escaping (Int, Int) -> Void
  ) throws(CorpusError) -> [NetworkAudit.Candidate] {
    let half = max(1, options.samples / 2)
    var starts = try reader.initialStarts(half, split: "test")
    if starts.isEmpty { starts = try reader.initialStarts(half, split: "train") }
    if let measurer { starts += try measurer.randomStarts(half, seed: options.sampling.seed) }
    guard !starts.isEmpty else {
      throw CorpusError(
        .emptySelection, "no network can be drawn: the corpus has no run to start from",
        remedy: "name the corpus that the model was trained on")
    }
    let best = model.description.bestPrompt
    let wanted = (0..<options.samples).map { number in
      let start = starts[number % starts.count]
      // Every other round is for the best prompt, the others for five others, one after the other.
      let round = number / starts.count
      let isBest = (number + round).isMultiple(of: 2)
      let part = Float((number / 2) % 5 + 1) / 6
      return (
        start: start, prompt: isBest ? best : start.metric + part * (best - start.metric), isBest: isBest
      )
    }
    let networks = try model.sample(
      wanted.map {
        Prompt(start: $0.start.parameters, startMetric: $0.start.metric, targetMetric: $0.prompt)
      },
      options: options.sampling, workers: workers, cancellation: cancellation
    ) { progress($0, wanted.count) }
    return zip(networks, wanted).map {
      NetworkAudit.Candidate($0, prompt: $1.prompt, isBestPrompt: $1.isBest)
    }
  }

  private var measurer: TaskMeasurer? {
    evaluator.flatMap { try? TaskMeasurer($0, of: model.description, workers: workers) }
  }
}
