public import Corpus
import CorpusStore
import Foundation
import Maintenance
import MetricIndex
public import Platform
public import ShardStore
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

  /// Refuses runs from whose first networks to start that a corpus has not, or that began with others than the task
  /// makes of their numbers, as those of other programs do.
  ///
  /// - Throws: `unknownRun`, `cannotReplay`.
  public func requireRuns(of corpus: CorpusDirectory) throws(CorpusError) {
    let reader = CorpusReader(try IndexReader(opening: corpus))
    var start = [Float](repeating: 0, count: corpus.manifest.architecture.parameterCount)
    for run in options.runs ?? [] {
      try start.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
        try reader.read(run, steps: 0..<1, into: buffer)
      }
      let made = task.initialNetwork(seed: UInt64(bitPattern: run))
      guard made.count == start.count, zip(made, start).allSatisfy({ abs($0 - $1) <= 1e-6 }) else {
        throw CorpusError(
          .cannotReplay, "run \(run) of \(corpus.path) does not begin with the network of its number",
          remedy: "leave --runs away, for random networks")
      }
    }
  }

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
    for (name, _) in optimizers { try requireSameRuns(task, name) }
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
      try tried.write(to: tuningPath(name))
      curves.append(
        OptimizerCurve(
          optimizer, tried: tried.rates, updates: options.schedule, values: values, goal: metric.goal,
          secondsPerUpdate: try secondsPerUpdate(task, optimizer, cancellation)))
    }
    return curves
  }

  private func corpusPath(_ name: OptimizerSettings.Name) -> String { "\(directory)/\(name.rawValue)" }
  private func tuningPath(_ name: OptimizerSettings.Name) -> String { "\(corpusPath(name))-tuning.json" }

  /// Refuses a directory with other runs before any time goes into tuning.
  private func requireSameRuns<Task: OptimizedTask>(
    _ task: Task, _ name: OptimizerSettings.Name
  ) throws(CorpusError) {
    guard let found = try CorpusDirectory(ifPresentAt: corpusPath(name))?.manifest else { return }
    // The learning rate is not known yet: any that it has is right so far.
    let known = try? found.recipe.decoded(as: BaselineRecipe.self, task: found.task)
    let optimizer = OptimizerSettings(name, learningRate: known?.optimizer.learningRate ?? 1)
    _ = try request(task, optimizer).open(corpusPath(name))
  }

  private func request<Task: OptimizedTask>(
    _ task: Task, _ optimizer: OptimizerSettings
  ) throws(CorpusError) -> CorpusRequest {
    let recipe = BaselineRecipe(
      base: task.recipe, optimizer: optimizer, starts: options.runs == nil ? .random : .runs,
      startSeed: options.runs == nil ? options.seed : 0, updates: options.schedule)
    return CorpusRequest(try BaselineTask(recipe, base: task))
  }

  /// Tries learning rates on other starts than those that are trained; what an earlier trial of the same has is read.
  private func tune<Task: OptimizedTask>(
    _ task: Task, _ name: OptimizerSettings.Name, _ rates: [Double], _ cancellation: Cancellation,
    _ advance: @escaping @Sendable () -> Void
  ) throws(CorpusError) -> Tuning {
    let (schedule, metricIndex, count) = (options.schedule, metricIndex, options.tuningStarts)
    // The seeds of `corpus evaluate` and of training's own evaluations are others.
    let firstSeed: UInt64 = 1 << 62 | (1 << 28 + options.seed) << 32
    let conditions = Tuning.Conditions(
      recipe: task.recipe, metric: metric.name, rates: rates, updates: schedule, starts: count,
      firstSeed: options.seed)
    var tuning = Tuning(conditions: conditions, rates: [])
    if let known = Tuning(tuningPath(name)), known.conditions == conditions { tuning = known }
    for _ in 0..<(tuning.rates.count * count) { advance() }
    // What tuned the runs that are stored stays beside them until others prove to be tuned alike.
    let isKept = try CorpusDirectory(ifPresentAt: corpusPath(name)) == nil
    for rate in rates.dropFirst(tuning.rates.count) {
      let values = Mutex([[Float]](repeating: [], count: count))
      try parallelForEach(Array(0..<count), workers: workers) { (start) throws(CorpusError) in
        let trained = try task.optimize(
          seed: firstSeed + UInt64(start), by: OptimizerSettings(name, learningRate: rate),
          updates: schedule, isCancelled: { cancellation.isCancelled })
        try cancellation.check()
        values.withLock { $0[start] = trained?.metrics[metricIndex] ?? [] }
        advance()
      }
      tuning.rates.append(
        OptimizerCurve.Trial(
          learningRate: rate, median: Tuning.score(values.withLock { $0 }, metric.goal)))
      if isKept { try tuning.write(to: tuningPath(name)) }
    }
    return tuning
  }

  /// Trains all starts, as runs of a corpus.
  ///
  /// - Returns: the metric of each run: (starts, checkpoints).
  private func train<Task: OptimizedTask>(
    _ task: Task, _ optimizer: OptimizerSettings, _ cancellation: Cancellation,
    _ advance: @escaping @Sendable () -> Void
  ) throws(CorpusError) -> [[Float]] {
    let (corpus, made) = try request(task, optimizer).open(corpusPath(optimizer.name))
    let runs = options.runs ?? (0..<Int64(options.starts)).map { $0 }
    for range in Self.neighbours(runs) {
      let job = GenerationJob(
        task: made, directory: corpus, seeds: range, workers: workers, codec: corpus.manifest.codec,
        isIndexing: false)
      let told = Mutex(0)
      _ = try job.run(cancellation: cancellation) { progress in
        // Reports of several workers may overtake each other.
        let new = told.withLock { told in
          let new = max(0, progress.stored - told)
          told += new
          return new
        }
        for _ in 0..<new { advance() }
      }
    }
    _ = try MetricIndex(openingOrCreating: corpus).synchronize()
    let reader = CorpusReader(try IndexReader(opening: corpus))
    var values: [[Float]] = []
    for run in runs { values.append(try reader.metrics(of: run).metrics[metricIndex]) }
    return values
  }

  /// Numbers as ranges without gaps, ascending.
  private static func neighbours(_ runs: [Int64]) -> [Range<Int64>] {
    runs.sorted().reduce(into: []) { ranges, run in
      if let last = ranges.last, last.upperBound == run {
        ranges[ranges.count - 1] = last.lowerBound..<(run + 1)
      } else {
        ranges.append(run..<(run + 1))
      }
    }
  }

  /// Of one thread, without evaluations: what more updates take longer than one, the fastest of three.
  private func secondsPerUpdate<Task: OptimizedTask>(
    _ task: Task, _ optimizer: OptimizerSettings, _ cancellation: Cancellation
  ) throws(CorpusError) -> Double {
    func seconds(_ updates: Int) throws(CorpusError) -> Double {
      var fastest = Double.infinity
      for _ in 0..<3 {
        let begun = ContinuousClock.now
        _ = try task.optimize(
          seed: 1 << 62, by: optimizer, updates: [updates], isCancelled: { cancellation.isCancelled })
        try cancellation.check()
        fastest = min(fastest, begun.duration(to: .now) / .seconds(1))
      }
      return fastest
    }
    let one = try seconds(1)
    var updates = 8
    while true {
      // Each of them measures a network, too, which takes as long as many updates: few would drown in its noise.
      let all = try seconds(updates)
      if all > 3 * one && all > 0.05 || updates >= 1 << 16 { return max(0, all - one) / Double(updates - 1) }
      updates *= 4
    }
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

  func write(to path: String) throws(CorpusError) {
    try Files.write(CanonicalJSON.data(self, pretty: true), to: path)
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
