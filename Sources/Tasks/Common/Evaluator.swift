public import Platform
public import Corpus
public import Datasets
import Synchronization

/// A task that measures networks, wherever they come from: the metrics of a checkpoint, without training.
public protocol Evaluator: TrainingTask {
  /// The task under its published recipe.
  ///
  /// - Parameter datasets: where the images are, for tasks that need some.
  init(publishedIn datasets: DatasetsDirectory) throws(CorpusError)

  /// The best prompt of the published evaluation, by the name of the metric.
  static var publishedPrompts: [String: Float] { get }

  /// The metrics of a network, in the order of the values that evaluation gives.
  var evaluatedMetrics: [Metric] { get }

  /// Evaluates one network on the calling thread: a pure function, with the same bits on any processor.
  ///
  /// - Parameters:
  ///   - network: its (P) parameters.
  ///   - seed: of the random numbers, in tasks that have some.
  /// - Returns: A value for each of ``evaluatedMetrics``.
  func evaluate(network: [Float], seed: UInt64) -> [Float]

  /// The (P) parameters of the network that the run of this seed begins with.
  func initialNetwork(seed: UInt64) -> [Float]

  /// What measures the networks of a plane as ``evaluate(network:seed:)`` does with the seed 0, within rounding.
  ///
  /// - Parameters:
  ///   - metric: an index into ``evaluatedMetrics``.
  ///   - images: how many of the test images to take at most, the first ones; nil for all.
  func evaluator(of plane: ParameterPlane, metric: Int, images: Int?) -> any PlaneEvaluator
}

extension Evaluator {
  public static var publishedPrompts: [String: Float] { [:] }

  /// Evaluates many networks, each by one of several threads.
  ///
  /// - Parameters:
  ///   - count: The number of networks.
  ///   - network: called from the workers with a network's index; gives its (P) parameters.
  /// - Returns: For each network a value for each of ``evaluatedMetrics``.
  /// - Throws: `interrupted` on cancellation.
  public func evaluate(
    count: Int, seed: UInt64 = 0, workers: Int, cancellation: Cancellation = Cancellation(),
    network: @escaping @Sendable (Int) -> [Float]
  ) throws(CorpusError) -> [[Float]] {
    let results = Mutex([[Float]](repeating: [], count: count))
    try parallelForEach(Array(0..<count), workers: workers) { (index) throws(CorpusError) in
      try cancellation.check()
      // One kind of NaN, as runs are stored with.
      let values = evaluate(network: network(index), seed: seed).map { $0.isNaN ? Float.nan : $0 }
      results.withLock { $0[index] = values }
    }
    return results.withLock { $0 }
  }

  /// Evaluates the networks of one array.
  ///
  /// - Parameter parameters: networks × P.
  /// - Throws: `invalidArgument` for an array of another length.
  public func evaluate(
    parameters: [Float], seed: UInt64 = 0, workers: Int = Workers.available
  ) throws(CorpusError) -> [[Float]] {
    let length = architecture.parameterCount
    guard parameters.count.isMultiple(of: length) else {
      throw CorpusError(
        .invalidArgument, "\(parameters.count) numbers are no networks of \(length) parameters",
        remedy: "pass whole networks of the architecture \(architecture.name)")
    }
    return try evaluate(count: parameters.count / length, seed: seed, workers: workers) { index in
      Array(parameters[(index * length)..<((index + 1) * length)])
    }
  }
}

extension Tasks {
  /// The best prompt of the published evaluation; nil for tasks and metrics that have none.
  public static func publishedPrompt(task: String, metric: String) -> Float? {
    all.compactMap { $0 as? any Evaluator.Type }.first { $0.name == task }?.publishedPrompts[metric]
  }

  /// The evaluator of a task.
  ///
  /// - Parameter recipe: as a corpus records it; nil for the published one.
  /// - Throws: `cannotReplay` for a task that none of this program's evaluators knows; what is wrong with the recipe or
  ///   the data.
  public static func evaluator(
    task: String, recipe: JSONValue?, datasets: DatasetsDirectory
  ) throws(CorpusError) -> any Evaluator {
    let types = all.compactMap { $0 as? any Evaluator.Type }
    if let type = types.first(where: { $0.name == task }) {
      guard let recipe else { return try type.init(publishedIn: datasets) }
      return try type.init(recipe: recipe, datasets: datasets)
    }
    let known = types.map { $0.name }.joined(separator: ", ")
    throw CorpusError(
      .cannotReplay, "networks of the task \(task) cannot be evaluated: this program has no such task",
      remedy: "choose one of \(known), or evaluate them in code of your own")
  }
}
