internal import Corpus

/// Which checkpoints a run keeps.
///
/// A pure function of the recipe and the seed, as the run itself: metrics, whose bits are the same on all processors,
/// decide, and nothing that a machine's library rounds its own way. Schemas/reference.md says it exactly.
public enum CheckpointRule: String, Codable, Sendable, CaseIterable {
  /// The published rule: all iterations are equally likely. Recipes say nothing of it.
  case uniform
  /// Iterations are the likelier the earlier they are, by 1 / iteration: evenly spread over its logarithm.
  case log
  /// Evenly spread over a metric, out of candidates of rule ``log``: all iterations where there are few.
  case metric
}

/// The part of a task's recipe that says which checkpoints a run keeps.
package protocol ScheduledRecipe {
  /// The task's name in messages, such as `CIFAR-10`.
  static var displayName: String { get }
  var checkpoints: Int { get }
  /// nil for ``CheckpointRule/uniform``.
  var schedule: CheckpointRule? { get set }
  /// The name of the metric of ``CheckpointRule/metric``; nil for the other rules.
  var scheduleMetric: String? { get set }
  /// The iterations of a run, of which the last is always kept.
  var iterations: Int { get }
}

extension ScheduledRecipe {
  /// Checks a number of a recipe; conditions are written so that NaN fails them.
  ///
  /// - Parameter range: what the number must be, in words.
  /// - Throws: `invalidRecipe`, naming the number, if the condition fails.
  static func require(
    _ condition: Bool, _ key: some CodingKey, _ value: some CustomStringConvertible, _ range: String
  ) throws(CorpusError) {
    guard condition else {
      throw CorpusError(
        .invalidRecipe, "`\(key.stringValue)` of the \(displayName) recipe is \(value)",
        remedy: "make it \(range)")
    }
  }

  /// Spells the rule in the one way in which recipes record it, so that equal rules are equal recipes.
  ///
  /// - Parameters:
  ///   - metrics: What the task logs.
  ///   - usual: The metric that is meant where none is named.
  /// - Throws: `invalidRecipe` for a metric that the task does not log, and for one that the rule does not ask for.
  mutating func settleSchedule(task: String, metrics: [Metric], usual: Metric) throws(CorpusError) {
    if schedule == .uniform { schedule = nil }
    guard schedule == .metric else {
      guard let name = scheduleMetric else { return }
      throw CorpusError(
        .invalidRecipe,
        "`schedule_metric` of the \(task) recipe is \(name), but its schedule, \((schedule ?? .uniform).rawValue), "
          + "asks for no metric", remedy: "leave it out, or choose the schedule metric")
    }
    let name = scheduleMetric ?? usual.name
    guard metrics.contains(where: { $0.name == name }) else {
      throw CorpusError(
        .invalidRecipe, "`schedule_metric` of the \(task) recipe is \(name), which task \(task) does not log",
        remedy: "make it \(metrics.map(\.name).joined(separator: " or "))")
    }
    scheduleMetric = name
  }

  /// The iterations after which checkpoints are taken, of which ``keep(_:of:)`` then keeps some.
  func candidates(random: inout PhiloxGenerator) -> [Int32] {
    switch schedule {
    case nil, .uniform:
      return CheckpointSchedule.iterations(count: checkpoints, last: iterations, random: &random)
    case .log:
      return CheckpointSchedule.logarithmic(count: checkpoints, last: iterations, random: &random)
    case .metric:
      let count = min(iterations + 1, CheckpointSchedule.candidates * checkpoints)
      return CheckpointSchedule.logarithmic(count: count, last: iterations, random: &random)
    }
  }

  /// The run with the checkpoints that the rule keeps.
  ///
  /// - Parameter metrics: the run's, in the order of ``Run/metrics``.
  func keep(_ run: Run, metrics: [Metric]) -> Run {
    guard schedule == .metric, let column = metrics.firstIndex(where: { $0.name == scheduleMetric }) else {
      return run
    }
    return run.keeping(CheckpointSchedule.spread(count: checkpoints, over: run.metrics[column]))
  }
}

extension Run {
  /// The run with some of its checkpoints.
  ///
  /// - Parameter indices: of the checkpoints kept, ascending.
  fileprivate func keeping(_ indices: [Int]) -> Run {
    Run(
      seed: seed, iterations: indices.map { iterations[$0] },
      metrics: metrics.map { m in indices.map { m[$0] } },
      parameters: indices.flatMap { parameters[($0 * parameterCount)..<(($0 + 1) * parameterCount)] })
  }
}
