public import Platform
public import Corpus
import Foundation
public import GenerativeModel
import Tasks

/// What a model is judged by (Schemas/reference.md, section 7): how well networks reach what they are prompted for.
public struct ModelEvaluation: Codable, Sendable {
  public static let format = "checkpoint-corpus evaluation"

  /// Prompts from some kind of starts.
  public struct Group: Codable, Sendable {
    /// `training runs` and `held-out runs`, each at its initial checkpoint, or `random`, seeds that no corpus has.
    public var starts: String
    /// What the starts reach: (networks).
    @Nullable public var startMetrics: [Float]
    /// (networks, prompts): evenly spaced from a network's own metric to the best prompt.
    @Nullable public var prompted: [[Float]]
    @Nullable public var observed: [[Float]]
    /// The mean over networks of R^2 = 1 - sum (prompted - observed)^2 / sum (prompted - mean prompted)^2; NaN, which JSON
    /// has as null, where a network has no finite metric, and where it was prompted for one value alone.
    @Nullable public var alignment: Double
    /// What the networks prompted for the best reach in one step.
    public var oneStep: Quartiles
    /// The iterations after which the corpus's own runs are as good on average as the median of those; nil if never.
    public var iterations: Double?
    /// Medians for the best prompt, of networks fed back in again and again: after 1, 2, … steps.
    @Nullable public var recursive: [Float]

    enum CodingKeys: String, CodingKey {
      case starts, prompted, observed, alignment, iterations, recursive
      case startMetrics = "start_metrics"
      case oneStep = "one_step"
    }
  }

  public struct Quartiles: Codable, Sendable {
    @Nullable public var worst: Float
    @Nullable public var lower: Float
    @Nullable public var median: Float
    @Nullable public var upper: Float
    @Nullable public var best: Float

    /// - Parameter goal: which end is the best. What is no number is the worst.
    init(_ values: [Float], goal: Metric.Goal) {
      let finite = values.filter { !$0.isNaN }.sorted { goal == .maximize ? $0 < $1 : $0 > $1 }
      let sorted = values.filter(\.isNaN) + finite
      func at(_ part: Double) -> Float {
        sorted.isEmpty ? .nan : sorted[Int((part * Double(sorted.count - 1)).rounded())]
      }
      (worst, lower, median, upper, best) = (at(0), at(0.25), at(0.5), at(0.75), at(1))
    }
  }

  public var format = Self.format
  public var version = 1
  public var task: String
  public var metric: Metric
  /// The lowest and the highest value of the metric that the corpus holds; nil in files from before there was one.
  public var metricRange: [Float]?
  /// What was prompted for at most.
  public var bestPrompt: Float
  /// The updates of the model.
  public var step: Int
  public var sampler: String
  public var samplingSteps: Int
  public var groups: [Group]
  /// The same for the published best prompt, where that is another one and was asked for.
  public var published: Published?

  /// Prompts up to the best one of the published evaluation.
  public struct Published: Codable, Sendable {
    public var bestPrompt: Float
    public var groups: [Group]

    enum CodingKeys: String, CodingKey {
      case groups
      case bestPrompt = "best_prompt"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, task, metric, step, sampler, groups, published
    case bestPrompt = "best_prompt"
    case metricRange = "metric_range"
    case samplingSteps = "sampling_steps"
  }
}

/// Prompts a model from groups of starts, and measures what it writes on the task.
public struct PromptEvaluation: Sendable {
  private let model: Sampler
  private let measurer: TaskMeasurer
  private let options: SamplingOptions
  private let workers: Int
  /// Prompts for each network.
  public var prompts = 20
  /// How often networks are fed back in.
  public var recursions = 5
  /// The best prompt.
  public var bestPrompt: Float

  public init(_ model: Sampler, measurer: TaskMeasurer, options: SamplingOptions, workers: Int) {
    self.model = model
    self.measurer = measurer
    self.options = options
    self.workers = workers
    bestPrompt = model.description.bestPrompt
  }

  /// The best prompt of the published evaluation; of other tasks, the best value that the corpus holds.
  public static func publishedPrompt(_ description: ModelDescription) -> Float {
    Tasks.publishedPrompt(task: description.task, metric: description.metric.name) ?? description.bestValue
  }

  /// Evaluates groups of starts by their names, up to ``bestPrompt``, and up to the published best prompt as well where
  /// that is another one: what the corpus holds, beside what the paper asked for.
  ///
  /// - Parameters: as of ``run(_:reader:cancellation:progress:)``.
  public func runBesidePublished(
    _ groups: [(name: String, starts: [Start])], reader: StartReader?,
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> ModelEvaluation {
    var other = self
    other.bestPrompt = Self.publishedPrompt(model.description)
    let rounds = other.bestPrompt == bestPrompt ? 1 : 2
    var evaluation = try run(groups, reader: reader, cancellation: cancellation) { progress($0, rounds * $1) }
    if rounds == 2 {
      let published = try other.run(groups, reader: reader, cancellation: cancellation) {
        progress($1 + $0, 2 * $1)
      }
      evaluation.published = .init(bestPrompt: published.bestPrompt, groups: published.groups)
    }
    return evaluation
  }

  /// Evaluates groups of starts by their names, up to ``bestPrompt``.
  ///
  /// - Parameters:
  ///   - reader: the corpus, for the pace of its own training; nil where it is not at hand.
  ///   - progress: called with the networks drawn, and with how many there will be.
  public func run(
    _ groups: [(name: String, starts: [Start])], reader: StartReader?,
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> ModelEvaluation {
    let total = groups.reduce(0) { $0 + $1.starts.count * (prompts + recursions - 1) }
    var done = 0
    var results: [ModelEvaluation.Group] = []
    let curve = try reader?.curve(model.description.metric.name) ?? []
    for (name, starts) in groups where !starts.isEmpty {
      results.append(
        try evaluate(name, starts, curve, cancellation) { drawn in
          done += drawn
          progress(done, total)
        })
    }
    let description = model.description
    return ModelEvaluation(
      task: description.task, metric: measurer.metric, metricRange: description.metricRange,
      bestPrompt: bestPrompt, step: description.bestEvaluation?.step ?? description.step,
      sampler: options.sampler.rawValue, samplingSteps: options.steps, groups: results)
  }

  private func evaluate(
    _ name: String, _ starts: [Start], _ curve: [(iteration: Double, value: Double)],
    _ cancellation: Cancellation, progress: (Int) -> Void
  ) throws(CorpusError) -> ModelEvaluation.Group {
    let goal = measurer.metric.goal
    let targets = starts.map { start in
      (0..<prompts).map {
        // One prompt alone is for the best.
        prompts == 1
          ? bestPrompt : start.metric + (bestPrompt - start.metric) * Float($0) / Float(prompts - 1)
      }
    }
    let networks = try draw(
      zip(starts, targets).flatMap { start, targets in
        targets.map { Prompt(start: start.parameters, startMetric: start.metric, targetMetric: $0) }
      }, 0, cancellation, progress)
    let measured = try measurer.measure(networks, cancellation: cancellation)
    let observed = starts.indices.map { Array(measured[($0 * prompts)..<(($0 + 1) * prompts)]) }
    var current = starts.indices.map { networks[($0 + 1) * prompts - 1] }
    var metrics = observed.map { $0[prompts - 1] }
    let oneStep = ModelEvaluation.Quartiles(metrics, goal: goal)
    var recursive = [oneStep.median]
    for recursion in 1..<max(1, recursions) {
      let again = zip(current, metrics).map {
        Prompt(start: $0, startMetric: $1.isFinite ? $1 : 0, targetMetric: bestPrompt)
      }
      current = try draw(again, recursion, cancellation, progress)
      metrics = try measurer.measure(current, cancellation: cancellation)
      recursive.append(ModelEvaluation.Quartiles(metrics, goal: goal).median)
    }
    let pace = curve.first {
      goal == .maximize ? $0.value >= Double(oneStep.median) : $0.value <= Double(oneStep.median)
    }
    return ModelEvaluation.Group(
      starts: name, startMetrics: starts.map(\.metric), prompted: targets, observed: observed,
      alignment: Self.alignment(targets, observed), oneStep: oneStep, iterations: pace?.iteration,
      recursive: recursive)
  }

  private func draw(
    _ prompts: [Prompt], _ recursion: Int, _ cancellation: Cancellation, _ progress: (Int) -> Void
  ) throws(CorpusError) -> [[Float]] {
    var options = options
    options.seed += UInt64(recursion)
    var drawn = 0
    return try model.sample(prompts, options: options, workers: workers, cancellation: cancellation) {
      progress($0 - drawn)
      drawn = $0
    }
  }

  /// The mean over networks of R^2; NaN where all that a network was prompted for is the same.
  package static func alignment(_ prompted: [[Float]], _ observed: [[Float]]) -> Double {
    let scores = zip(prompted, observed).map { prompted, observed in
      let mean = prompted.reduce(0) { $0 + Double($1) } / Double(prompted.count)
      let apart = zip(prompted, observed).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
      let spread = prompted.reduce(0.0) { $0 + pow(Double($1) - mean, 2) }
      return spread > 0 ? 1 - apart / spread : .nan
    }
    return scores.reduce(0, +) / Double(scores.count)
  }
}
