import Audit
import Corpus
import Datasets
import Evaluation
import Foundation
import GenerativeModel
import MetricIndex
import Platform
import SampleViews
import ShardStore

/// A model that is reported on, and what its sections have in common; each opened when it is first asked for.
final class ReportedModel {
  let directory: ModelDirectory
  let sampler: Sampler
  private let options: ReportOptions
  /// For each start.
  private static let prompts = 10
  private var opened: (corpus: CorpusDirectory?, measurer: TaskMeasurer?) = (nil, nil)

  var description: ModelDescription { sampler.description }

  /// - Throws: what is wrong with the model.
  init(_ directory: ModelDirectory, _ options: ReportOptions) throws(CorpusError) {
    self.directory = directory
    self.options = options
    sampler = try Sampler(opening: directory)
  }

  var identity: Report.ModelIdentity {
    var parts = directory.path.split(separator: "/").map(String.init)
    while parts.last == "." { parts.removeLast() }
    return Report.ModelIdentity(
      name: parts.last ?? directory.path, path: directory.path, task: description.task,
      metric: description.metric, metricRange: description.metricRange,
      step: description.bestEvaluation?.step ?? description.step)
  }

  /// The corpus that it learned from.
  func corpus() throws(CorpusError) -> CorpusDirectory {
    if let corpus = opened.corpus { return corpus }
    let path = options.corpus ?? description.corpus.path
    let corpus: CorpusDirectory
    do throws(CorpusError) {
      corpus = try CorpusDirectory(opening: path)
    } catch  where error.code == .notACorpus {
      throw CorpusError(
        .notACorpus, "\(directory.path) was trained on \(description.corpus.path), and \(error.message)",
        remedy: "name the place where the corpus is now with --corpus")
    }
    opened.corpus = corpus
    return corpus
  }

  /// What measures its networks on the task.
  func measurer() throws(CorpusError) -> TaskMeasurer {
    if let measurer = opened.measurer { return measurer }
    let measurer = try TaskMeasurer(of: description, datasets: options.datasets, workers: options.workers)
    opened.measurer = measurer
    return measurer
  }

  func starts() throws(CorpusError) -> StartReader { try StartReader(corpus(), for: description) }

  func prompts(_ cancellation: Cancellation, _ progress: (Int, Int) -> Void) throws(CorpusError)
    -> PromptsSection
  {
    let (measurer, reader) = (try measurer(), try starts())
    var prompting = PromptEvaluation(
      sampler, measurer: measurer, options: options.sampling, workers: options.workers)
    prompting.prompts = Self.prompts
    return PromptsSection(
      try prompting.runBesidePublished(
        [
          ("training runs", reader.initialStarts(options.samples, split: "train")),
          ("held-out runs", reader.initialStarts(options.samples, split: "test")),
          (
            "random",
            measurer.randomStarts(
              options.samples, seed: options.sampling.seed, cancellation: cancellation)
          ),
        ], reader: reader, cancellation: cancellation, progress: progress))
  }

  func audit(
    _ cancellation: Cancellation, _ progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) -> AuditReport {
    var view = ModelAudit.Options()
    (view.samples, view.sampling) = (4 * options.samples, options.sampling)
    return try ModelAudit(sampler, datasets: options.datasets, options: view, workers: options.workers)
      .run(on: corpus(), cancellation: cancellation) { progress($1, $2) }
  }

  /// What looks at its samples; without the corpus, from random starts.
  private func viewer() throws(CorpusError) -> SampleViewer {
    SampleViewer(
      sampler, measurer: try measurer(), reader: try? starts(), sampling: options.sampling,
      workers: options.workers)
  }

  func landscape(
    _ cancellation: Cancellation, _ progress: (Int, Int) -> Void
  ) throws(CorpusError) -> Landscape {
    let viewer = try viewer()
    var view = LandscapeOptions(task: description.task)
    view.samples = 4 * options.samples
    // Levels that all show the whole region: the finest says how fine the others are.
    if view.zoom == 1 { view.cells = [16, 4, 1].map { max(1, options.cells / $0) } }
    return try viewer.landscape(
      from: viewer.starts(1)[0], prompt: options.target, view, cancellation: cancellation, progress: progress)
  }

  func walks(_ cancellation: Cancellation, _ progress: (Int, Int) -> Void) throws(CorpusError) -> Walks {
    var view = WalkOptions()
    // Each draft of noise is a frame of its own then.
    view.frames = 12 * view.drafts + 1
    view.prompt = options.target
    return try viewer().walks(view, cancellation: cancellation, progress: progress)
  }

  func policies(
    _ cancellation: Cancellation, _ progress: (Int, Int) -> Void
  ) throws(CorpusError) -> CartpolePolicies {
    let viewer = try viewer()
    return try viewer.cartpolePolicies(
      from: viewer.starts(min(3, options.samples)), best: options.target, cancellation: cancellation,
      progress: progress)
  }

  /// Names all that its sections depend on, besides the options.
  func fingerprint() throws(CorpusError) -> [String] {
    var hash = try SHA256()
    let weightsFile = try FileMapping(opening: directory.weightsPath)
    withExtendedLifetime(weightsFile) { hash.update(bytes: weightsFile.bytes) }
    let weights = ContentHash(bytes: hash.finish()).description
    // A corpus that has moved is another one, until it is found.
    let runs = try? IndexReader(opening: corpus()).rows(
      "SELECT count(*), total(checkpoints), total(sum), total(sum_of_squares) FROM runs")
    return [
      try CanonicalJSON.string(description), weights, directory.path,
      runs.map { "\($0)" } ?? "no corpus", options.datasets.path,
    ]
  }
}
