import Overview
import ArgumentParser
import Baselines
import Corpus
import GenerativeModel
import MetricIndex
import Platform
import ShardStore
import Tasks
import TerminalOutput

struct Baseline: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train networks by Adam, Nesterov's momentum or PPO, to set a model's one step beside them.",
    discussion: """
      From networks as runs begin with, which no corpus has, each optimizer trains by itself, at the learning rate that \
      did best on other ones. Its runs are a corpus in a directory of its name, which SQL can ask; run it again, and it \
      goes on.

      EXAMPLE
        corpus baseline models/short --out baselines/short
        corpus query baselines/short/adam "SELECT step, avg(test_loss) FROM checkpoints GROUP BY step"
      """)

  @Argument(
    help: ArgumentHelp("A model's directory, or a corpus's.", valueName: "model or corpus"),
    completion: .directory)
  var path: String

  @Option(help: "Where the corpora go: a directory.", completion: .directory)
  var out: String

  @Option(help: "Networks to train.")
  var starts = 16

  @Option(help: "Updates of each network.")
  var updates = 500

  @Option(parsing: .upToNextOption, help: "The learning rates to try (default: the task's).")
  var learningRates: [Double] = []

  @Option(
    parsing: .upToNextOption,
    help: "Runs from whose first networks to start, such as held-out ones (default: random networks).")
  var runs: [Int64] = []

  @Option(
    help: "The metric of the curves (default: the model's, or the corpus's first that can be measured).")
  var metric: String?

  @Option(help: "Of the random networks: that of `corpus evaluate` gives the same ones.")
  var seed: UInt64 = 0

  @OptionGroup var datasets: DatasetOptions

  @Option(help: "Threads (default: one a core).")
  var workers: Int?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if starts < 1 { throw ValidationError("--starts must be at least 1") }
    if updates < 1 || updates > 1_000_000 { throw ValidationError("--updates must be from 1 to 1000000") }
    if seed >= 1 << 28 { throw ValidationError("--seed must be below 2^28") }
    if let bad = learningRates.first(where: { !($0 > 0) || $0 > 1e3 }) {
      throw ValidationError("--learning-rates: \(bad) is not above 0 and at most 1000")
    }
    if runs.contains(where: { $0 < 0 || $0 >= SeedRange.limit }) || Set(runs).count < runs.count {
      throw ValidationError("--runs must be different numbers of runs")
    }
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
  }

  func run() throws {
    let (task, recipe, modelMetric, corpus) = try source()
    let evaluator = try Tasks.evaluator(task: task, recipe: recipe, datasets: datasets.directory)
    var options = BaselineStudy.Options()
    (options.starts, options.updates, options.seed) = (runs.isEmpty ? starts : runs.count, updates, seed)
    if !learningRates.isEmpty { options.learningRates = learningRates }
    if !runs.isEmpty { options.runs = runs }
    let study = try BaselineStudy(
      evaluator, metric: metric ?? modelMetric ?? evaluator.evaluatedMetrics[0].name, in: out,
      options: options,
      workers: workers ?? Workers.available)
    if !runs.isEmpty { try study.requireRuns(of: CorpusDirectory(opening: corpus)) }
    let work = LongWork("baseline", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let curves = try study.run(cancellation: work.cancellation) { done, total in
      display.update(done, of: total, unit: "trainings") { [] }
    }
    work.end()
    show(curves, study.metric)
  }

  /// The task and its recipe, the metric of a model, and where the corpus is.
  private func source() throws(CorpusError) -> (
    task: String, recipe: JSONValue, metric: String?, corpus: String
  ) {
    let model = ModelDirectory(path)
    if model.holdsModel {
      let description = try model.description()
      return (description.task, description.recipe, description.metric.name, description.corpus.path)
    }
    let manifest = try CorpusDirectory(opening: path).manifest
    return (manifest.task, manifest.recipe, nil, path)
  }

  private func show(_ curves: [OptimizerCurve], _ metric: Metric) {
    Console.print("The median of \(metric.name), by the updates")
    var printer = RowPrinter(format: .table)
    let wanted = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000].filter { $0 <= updates }
    printer.begin(columns: ["optimizer", "learning rate"] + wanted.map { "\($0)" } + ["ms an update"])
    for curve in curves {
      // The last checkpoint that is not behind it.
      let values = wanted.map { update in
        curve.updates.lastIndex { $0 <= update }.map { SQLValue.real(Double(curve.median[$0])) } ?? .null
      }
      printer.add(
        [.text(curve.name.rawValue), .real(curve.learningRate)] + values + [
          .real(1000 * curve.secondsPerUpdate)
        ])
    }
    printer.end()
  }
}
