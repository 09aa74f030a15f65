public import Corpus
import CorpusStore
import Foundation
import Maintenance
import MetricIndex
public import Platform
import ShardStore
import Synchronization
public import Tasks

/// Trains networks by other optimizers from where runs begin, at learning rates that are tuned on other starts: what a
/// generative model's one step stands beside.
///
/// The runs of each optimizer are a corpus of its own, `<directory>/<optimizer>`, which goes on where it was stopped.
public struct BaselineStudy: Sendable {
  /// Which starts, and how long they are trained.
  public struct Options: Sendable {
    /// Networks that are trained.
    public var starts = 16
    /// Other networks, on which learning rates are tried.
    public var tuningStarts = 4
    /// Of the random starts; that of `corpus evaluate` gives the same ones.
    public var seed: UInt64 = 0
    /// Runs of the corpus from whose first networks to start, in place of random ones.
    public var runs: [Int64]?
    /// Updates of each network.
    public var updates = 500
    /// The learning rates that are tried; nil for those of the task.
    public var learningRates: [Double]?

    public init() {}

    /// The updates before each checkpoint: all of the first 50, and then some, ever farther apart.
    var schedule: [Int] {
      let dense = Array(0...min(50, updates))
      guard updates > 50 else { return dense }
      let ratio = Double(updates) / 50
      return dense
        + Set((1...20).map { Int((50 * pow(ratio, Double($0) / 20)).rounded()) }).filter { $0 > 50 }.sorted()
    }
  }

  private let task: any OptimizedTask
  private let metricIndex: Int
  private let directory: String
  private let options: Options
  private let workers: Int

  /// - Parameters:
  ///   - metric: one of those that the task measures networks in, or its namesake of training.
  ///   - directory: made where it is missing.
  /// - Throws: `cannotReplay` for another metric, or for a task that no optimizer here can train.
  public init(
    _ evaluator: any Evaluator, metric: String, in directory: String, options: Options, workers: Int
  ) throws(CorpusError) {
    guard let task = evaluator as? any OptimizedTask else {
      throw CorpusError(
        .cannotReplay, "no optimizer of this program trains networks of the task \(evaluator.name)",
        remedy: "train them in code of your own, and store them with checkpoint_corpus.Writer")
    }
    let names = task.evaluatedMetrics.map(\.name)
    guard
      let index = names.firstIndex(of: metric)
        ?? names.firstIndex(of: metric.replacing("train_", with: "test_"))
    else {
      throw CorpusError(
        .cannotReplay, "\(metric) of a network cannot be measured without training it",
        remedy: "ask for one of \(names.joined(separator: ", "))")
    }
    (self.task, metricIndex, self.directory, self.options, self.workers) = (
      task, index, directory, options, workers
    )
  }

  /// The metric of the curves.
  public var metric: Metric { task.evaluatedMetrics[metricIndex] }

  /// Tunes and trains, as far as that is not done.
  ///
  /// - Parameter progress: called with the trainings done, and with how many there are.
  /// - Returns: the curves, an optimizer each.
  public func run(
    cancellation: Cancellation, progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) -> [OptimizerCurve] {
    try run(task, cancellation, progress)
  }

  private func run<Task: OptimizedTask>(
    _ task: Task, _ cancellation: Cancellation, _ progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) -> [OptimizerCurve] {
    let optimizers = Task.optimizers.sorted { $0.key.rawValue < $1.key.rawValue }.map { name, rates in
      (name: name, rates: options.learningRates ?? rates)
    }
    let total = optimizers.reduce(0) { $0 + $1.rates.count * options.tuningStarts + options.starts }
    let done = Mutex(0)
    let advance: @Sendable () -> Void = {
      progress(
        done.withLock {
          $0 += 1
          return $0
        }, total)
    }
    try Files.createDirectory(directory)
    var curves: [OptimizerCurve] = []
    for (name, rates) in optimizers {
      let tried = try tune(task, name, rates, cancellation, advance)
      guard let best = tried.best(metric.goal) else {
        throw CorpusError(
          .diverged, "no learning rate of \(name.rawValue) trains a network",
          remedy: "try others with --learning-rates")
      }
      let optimizer = OptimizerSettings(name, learningRate: best.learningRate)
      let values = try train(task, optimizer, cancellation, advance)
      curves.append(
        OptimizerCurve(
          optimizer, tried: tried.rates, updates: options.schedule, values: values, goal: metric.goal,
          secondsPerUpdate: try secondsPerUpdate(task, optimizer)))
    }
    return curves
  }

  /// Tries learning rates on other starts than those that are trained; an earlier trial of the same is read.
  private func tune<Task: OptimizedTask>(
    _ task: Task, _ name: OptimizerSettings.Name, _ rates: [Double], _ cancellation: Cancellation,
    _ advance: @escaping @Sendable () -> Void
  ) throws(CorpusError) -> Tuning {
    let path = "\(directory)/\(name.rawValue)-tuning.json"
    let (schedule, metricIndex, count) = (options.schedule, metricIndex, options.tuningStarts)
    // The seeds of `corpus evaluate` and of training's own evaluations are others.
    let firstSeed: UInt64 = 1 << 62 | (1 << 28 + options.seed) << 32
    let conditions = Tuning.Conditions(
      recipe: task.recipe, metric: metric.name, rates: rates, updates: schedule, starts: count,
      firstSeed: options.seed)
    if let known = Tuning(path), known.conditions == conditions {
      for _ in 0..<(rates.count * count) { advance() }
      return known
    }
    let values = Mutex([[[Float]]](repeating: Array(repeating: [], count: count), count: rates.count))
    let trials = rates.indices.flatMap { rate in (0..<count).map { (rate, $0) } }
    try parallelForEach(trials, workers: workers) { (trial) throws(CorpusError) in
      let trained = try task.optimize(
        seed: firstSeed + UInt64(trial.1), by: OptimizerSettings(name, learningRate: rates[trial.0]),
        updates: schedule, isCancelled: { cancellation.isCancelled })
      try cancellation.check()
      values.withLock { $0[trial.0][trial.1] = trained?.metrics[metricIndex] ?? [] }
      advance()
    }
    let tuning = Tuning(
      conditions: conditions,
      rates: zip(rates, values.withLock { $0 }).map { rate, values in
        OptimizerCurve.Trial(learningRate: rate, median: Tuning.score(values, metric.goal))
      })
    try Files.write(CanonicalJSON.data(tuning, pretty: true), to: path)
    return tuning
  }

  /// Trains all starts, as runs of a corpus.
  ///
  /// - Returns: the metric of each run: (starts, checkpoints).
  private func train<Task: OptimizedTask>(
    _ task: Task, _ optimizer: OptimizerSettings, _ cancellation: Cancellation,
    _ advance: @escaping @Sendable () -> Void
  ) throws(CorpusError) -> [[Float]] {
    let recipe = BaselineRecipe(
      base: task.recipe, optimizer: optimizer, starts: options.runs == nil ? .random : .runs,
      startSeed: options.runs == nil ? options.seed : 0, updates: options.schedule)
    let baseline = try BaselineTask(recipe, base: task)
    let (corpus, made) = try CorpusRequest(baseline).open("\(directory)/\(optimizer.name.rawValue)")
    let runs = options.runs ?? (0..<Int64(options.starts)).map { $0 }
    for run in runs {
      // One at a time, as they need not be neighbours; what is stored is found at once.
      let job = GenerationJob(
        task: made, directory: corpus, seeds: run..<(run + 1), workers: 1, codec: corpus.manifest.codec,
        isIndexing: false)
      _ = try job.run(cancellation: cancellation) { _ in }
      advance()
    }
    _ = try MetricIndex(openingOrCreating: corpus).synchronize()
    let reader = CorpusReader(try IndexReader(opening: corpus))
    var values: [[Float]] = []
    for run in runs { values.append(try reader.metrics(of: run).metrics[metricIndex]) }
    return values
  }

  /// Of one thread, without evaluations: the difference between a longer and a shorter training.
  private func secondsPerUpdate<Task: OptimizedTask>(
    _ task: Task, _ optimizer: OptimizerSettings
  ) throws(CorpusError) -> Double {
    func seconds(_ updates: Int) throws(CorpusError) -> Double {
      let begun = ContinuousClock.now
      _ = try task.optimize(seed: 1 << 62, by: optimizer, updates: [0, updates], isCancelled: { false })
      return begun.duration(to: .now) / .seconds(1)
    }
    // As many as take far longer than both evaluations, which the difference is to be without.
    var updates = 16
    while updates < 4096, try seconds(updates) < 4 * seconds(1) + 0.05 { updates *= 2 }
    var differences: [Double] = []
    for _ in 0..<3 { differences.append(try (seconds(updates + 1) - seconds(1)) / Double(updates)) }
    return max(0, differences.sorted()[1])
  }
}

/// Learning rates that were tried, and under which conditions.
struct Tuning: Codable {
  struct Conditions: Codable, Equatable {
    var recipe: JSONValue
    var metric: String
    var rates: [Double]
    var updates: [Int]
    var starts: Int
    var firstSeed: UInt64

    enum CodingKeys: String, CodingKey {
      case recipe, metric, rates, updates, starts
      case firstSeed = "first_seed"
    }
  }

  var conditions: Conditions
  var rates: [OptimizerCurve.Trial]

  init(conditions: Conditions, rates: [OptimizerCurve.Trial]) {
    (self.conditions, self.rates) = (conditions, rates)
  }

  /// Reads one; nil where there is none that can be read.
  init?(_ path: String) {
    guard let data = try? Files.contents(path, limit: 1 << 20),
      let known = try? CanonicalJSON.decode(Tuning.self, from: data)
    else { return nil }
    self = known
  }

  /// The mean over the checkpoints of the median over the starts: rates that learn early are good, too.
  static func score(_ values: [[Float]], _ goal: Metric.Goal) -> Double {
    let checkpoints = values.first?.count ?? 0
    let medians = (0..<checkpoints).map { checkpoint in
      Double(OptimizerCurve.quantile(values.map { $0[checkpoint] }, 0.5, goal))
    }
    return medians.reduce(0, +) / Double(max(1, checkpoints))
  }

  func best(_ goal: Metric.Goal) -> OptimizerCurve.Trial? {
    let finite = rates.filter { $0.median.isFinite }
    return goal == .maximize ? finite.max { $0.median < $1.median } : finite.min { $0.median < $1.median }
  }
}
