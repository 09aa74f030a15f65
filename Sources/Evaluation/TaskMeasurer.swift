public import Platform
public import Tasks
public import Corpus
public import Datasets
public import GenerativeModel

/// Measures networks on the real task that a model was trained for, in the metric of its prompts.
public struct TaskMeasurer: Sendable {
  /// What it measures: the model's metric, or its namesake on test data.
  public let metric: Metric
  package let evaluator: any Evaluator
  /// Of ``metric``, among the evaluator's.
  package let metricIndex: Int
  private let workers: Int

  /// - Parameter datasets: where the images are, for tasks that need some.
  /// - Throws: `cannotReplay` for a task, or a metric, that this program cannot measure.
  public init(
    of description: ModelDescription, datasets: DatasetsDirectory, workers: Int
  ) throws(CorpusError) {
    try self.init(
      Tasks.evaluator(task: description.task, recipe: description.recipe, datasets: datasets),
      of: description,
      workers: workers)
  }

  /// - Parameter evaluator: of the model's task and recipe.
  /// - Throws: `cannotReplay` for a metric that this program cannot measure.
  public init(
    _ evaluator: any Evaluator, of description: ModelDescription, workers: Int
  ) throws(CorpusError) {
    self.evaluator = evaluator
    self.workers = workers
    let name = description.metric.name
    let names = evaluator.evaluatedMetrics.map(\.name)
    guard
      let index = names.firstIndex(of: name)
        ?? names.firstIndex(of: name.replacing("train_", with: "test_"))
    else {
      throw CorpusError(
        .cannotReplay, "\(name) of a network cannot be measured without training it",
        remedy: "train a model for one of \(names.joined(separator: ", "))")
    }
    guard evaluator.architecture == description.architecture else {
      throw CorpusError(
        .cannotReplay,
        "networks of the architecture \(description.architecture.name) are none of task \(description.task)",
        remedy: "restore model.json from a copy")
    }
    metricIndex = index
    metric = evaluator.evaluatedMetrics[index]
  }

  /// The metric of each network: (P) parameters each, as stored.
  public func measure(
    _ networks: [[Float]], cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) -> [Float] {
    try evaluator.evaluate(count: networks.count, workers: workers, cancellation: cancellation) {
      networks[$0]
    }.map { $0[metricIndex] }
  }

  /// Networks as runs begin with, of seeds that no corpus has; and their metric.
  ///
  /// - Throws: `interrupted`.
  public func randomStarts(
    _ count: Int, seed: UInt64, cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) -> [Start] {
    let networks = (0..<count).map { evaluator.initialNetwork(seed: 1 << 62 | seed << 32 | UInt64($0)) }
    let metrics = try measure(networks, cancellation: cancellation)
    return zip(networks, metrics).map { Start(run: nil, step: nil, parameters: $0, metric: $1) }
  }
}

/// A network that prompts start from.
public struct Start: Sendable {
  /// Where it is stored; nil for one that is not.
  public let run: Int64?
  public let step: Int?
  /// The network: (P), as stored.
  public let parameters: [Float]
  public let metric: Float
}
