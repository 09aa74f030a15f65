import Platform
import Tasks
import CCheckpointCorpus
import Corpus
import Datasets
import Foundation
import Synchronization

/// `cc_evaluator`.
final class EvaluatorHandle: Handle {
  let evaluator: any Evaluator
  let names: [CText]
  /// Of the runs that are at work now.
  private let current = Mutex(Cancellation())

  init(task: String, recipe: String?, datasets: String?) throws(CorpusError) {
    var value: JSONValue?
    if let recipe {
      do throws(JSONProblem) {
        value = try CanonicalJSON.decode(JSONValue.self, from: Data(recipe.utf8))
      } catch {
        throw error.refusal
          ?? CorpusError(
            .invalidRecipe, "the recipe cannot be used: \(error)", remedy: "pass that of a corpus, or none")
      }
    }
    evaluator = try Tasks.evaluator(task: task, recipe: value, datasets: DatasetsDirectory(datasets))
    names = evaluator.evaluatedMetrics.map { CText($0.name) }
  }

  func cancel() {
    current.withLock {
      $0.cancel()
      $0 = Cancellation()
    }
  }

  func run(
    count: Int, parameters: UnsafePointer<Float>, seed: UInt64, workers: Int,
    into metrics: UnsafeMutablePointer<Float>
  ) throws(CorpusError) {
    let length = evaluator.architecture.parameterCount
    // Read by the workers while this call lasts.
    nonisolated(unsafe) let parameters = parameters
    let results = try evaluator.evaluate(
      count: count, seed: seed, workers: workers, cancellation: current.withLock { $0 }
    ) { number in
      Array(UnsafeBufferPointer(start: parameters + number * length, count: length))
    }
    for (number, values) in results.enumerated() {
      (metrics + number * values.count).update(from: values, count: values.count)
    }
  }
}

@c @implementation
public func cc_evaluator_open(
  _ task: UnsafePointer<CChar>?, _ recipe: UnsafePointer<CChar>?, _ datasets: UnsafePointer<CChar>?,
  _ evaluator: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let evaluator = try present(evaluator, "evaluator")
    evaluator.pointee = try EvaluatorHandle(
      task: string(task, "task"), recipe: recipe.map { String(cString: $0) },
      datasets: datasets.map { String(cString: $0) }
    ).passed()
  }
}

@c @implementation
public func cc_evaluator_close(_ evaluator: OpaquePointer?) { evaluator.close(EvaluatorHandle.self) }

@c @implementation
public func cc_evaluator_parameter_count(_ evaluator: OpaquePointer?) -> Int64 {
  Int64(evaluator.object(EvaluatorHandle.self)?.evaluator.architecture.parameterCount ?? 0)
}

@c @implementation
public func cc_evaluator_metric_count(_ evaluator: OpaquePointer?) -> Int {
  evaluator.object(EvaluatorHandle.self)?.names.count ?? 0
}

@c @implementation
public func cc_evaluator_metric(_ evaluator: OpaquePointer?, _ metric: Int) -> UnsafePointer<CChar>? {
  guard let names = evaluator.object(EvaluatorHandle.self)?.names, names.indices.contains(metric) else {
    return nil
  }
  return names[metric].start
}

@c @implementation
public func cc_evaluator_run(
  _ evaluator: OpaquePointer?, _ count: Int, _ parameters: UnsafePointer<Float>?, _ seed: UInt64,
  _ workers: UInt32,
  _ metrics: UnsafeMutablePointer<Float>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let evaluator = try evaluator.opened(EvaluatorHandle.self)
    if count == 0 { return }
    guard count > 0 else { throw .invalidArgument("there are too many networks") }
    try evaluator.run(
      count: count, parameters: present(parameters, "parameters"), seed: seed,
      workers: workers == 0 ? Workers.available : Int(min(workers, 4096)), into: present(metrics, "metrics"))
  }
}

@c @implementation
public func cc_evaluator_initial_network(
  _ evaluator: OpaquePointer?, _ seed: UInt64, _ parameters: UnsafeMutablePointer<Float>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let evaluator = try evaluator.opened(EvaluatorHandle.self).evaluator
    let parameters = try present(parameters, "parameters")
    let network = evaluator.initialNetwork(seed: seed)
    parameters.update(from: network, count: network.count)
  }
}

@c @implementation
public func cc_evaluator_cancel(_ evaluator: OpaquePointer?) {
  guard let evaluator = evaluator.object(EvaluatorHandle.self), evaluator.isOwn else { return }
  evaluator.cancel()
}

@c @implementation
public func cc_published_prompt(_ task: UnsafePointer<CChar>?, _ metric: UnsafePointer<CChar>?) -> Float {
  guard let task, let metric else { return .nan }
  return Tasks.publishedPrompt(task: String(cString: task), metric: String(cString: metric)) ?? .nan
}
