import Platform
public import Corpus
import Foundation

/// A model and its training, as a configuration file has them: {"model": {…}, "training": {…}}.
public struct GPTConfiguration: Hashable, Sendable, Codable {
  public var model: ModelConfiguration
  public var training: TrainingConfiguration

  public init(model: ModelConfiguration, training: TrainingConfiguration) {
    self.model = model
    self.training = training
  }

  public func validate() throws(CorpusError) {
    try model.validate()
    try training.validate()
  }
}

/// Configurations by name: one for the CPU, and the published ones.
public enum Preset: String, CaseIterable, Sendable {
  case small, cartpole, mnist, cifar10

  /// The configuration for a corpus of this task.
  ///
  /// - Parameters:
  ///   - metric: of prompts; `small` brings its values near 1.
  ///   - itemsPerEpoch: pairs of an epoch, in which the published schedules count.
  ///   - runs: counts those that there are to learn from; only `small` asks, which learns longer from more.
  public func configuration(
    metric: String, itemsPerEpoch: Int, runs: () throws(CorpusError) -> Int
  ) throws(CorpusError) -> GPTConfiguration {
    func published(
      width: Int, heads: Int, chunk: Int?, batch: Int, rate: Float, warmup: Int, epochs: Int, clip: Float?
    ) -> GPTConfiguration {
      let updates = max(1, itemsPerEpoch / batch)
      var training = TrainingConfiguration(
        batch: batch, learningRate: rate, warmup: warmup * updates, steps: epochs * updates)
      training.gradientClip = clip
      return GPTConfiguration(
        model: ModelConfiguration(width: width, layers: 12, heads: heads, chunk: chunk), training: training)
    }
    switch self {
    case .cartpole:
      return published(
        width: 1536, heads: 12, chunk: nil, batch: 8192, rate: 2e-4, warmup: 10, epochs: 2000, clip: nil)
    case .mnist:
      return published(
        width: 1536, heads: 16, chunk: 1000, batch: 1024, rate: 4e-4, warmup: 5, epochs: 2000, clip: 0.75)
    case .cifar10:
      return published(
        width: 2048, heads: 16, chunk: 576, batch: 550, rate: 4e-4, warmup: 5, epochs: 15000, clip: 0.1)
    case .small:
      return Self.small(metric: metric, runs: try runs())
    }
  }
}

extension Preset {
  /// Schemas/experiments.md has what else was tried, and what each choice brings.
  private static func small(metric: String, runs: Int) -> GPTConfiguration {
    var model = ModelConfiguration(width: 96, layers: 3, heads: 4, chunk: 1000)
    model.tokens = .units
    model.stepScale = 1e-3
    // Most diffusion steps see nothing but noise: what they teach is where to go from the start, which is hard.
    model.lastBeta = 0.1
    // What is written should be a smooth function of the prompt.
    (model.frequencies, model.octaves) = (32, 5)
    let isPolicy = metric.hasSuffix("_return")
    model.metricScale = isPolicy ? 2e-3 : metric.hasSuffix("_error") ? 3e-2 : 1
    // Fewer runs are learned by heart sooner. Training ends by itself where prompts are met less and less well.
    var training = TrainingConfiguration(
      batch: 64, learningRate: isPolicy ? 1e-3 : 2e-3, warmup: 100, steps: min(12_000, max(1_500, 4 * runs)))
    training.gradientClip = 1
    training.emaDecay = 0.999
    training.augmentation = "canonical"
    // Nearly all checkpoints are near the end of training; prompts are for any value on the way.
    training.balance = "metric"
    training.initialStarts = 0.5
    training.unchanged = 0.05
    // Half of the evaluations: networks of many layers seem to be met worse and worse before they are met at all.
    training.patience = 10
    return GPTConfiguration(model: model, training: training)
  }
}

extension GPTConfiguration {
  /// Reads a configuration file.
  ///
  /// - Throws: `invalidRecipe`, naming what is missing, unknown or impossible.
  public init(contentsOf path: String) throws(CorpusError) {
    let data = try Files.contents(path, limit: 1 << 20)
    let value: JSONValue
    do throws(JSONProblem) {
      value = try CanonicalJSON.decode(JSONValue.self, from: data)
    } catch {
      throw Self.refusal(of: path, error)
    }
    let whole = try CanonicalJSON.data(Self.completed(value), pretty: false)
    do throws(JSONProblem) {
      self = try CanonicalJSON.decode(GPTConfiguration.self, from: whole)
    } catch {
      throw Self.refusal(of: path, error)
    }
    let known = Set(try CanonicalJSON.value(self).leaves.keys).union([
      "model.chunk", "training.gradient_clip", "training.checkpoints_per_run", "training.initial_starts",
      "training.evaluate_every", "training.patience",
    ])
    if let unknown = value.leaves.keys.filter({ !known.contains($0) }).min() {
      throw CorpusError(
        .invalidRecipe, "\(path) has the unknown member \(unknown)",
        remedy: "compare it with what `corpus train --print-config` prints")
    }
  }

  private static func refusal(of path: String, _ problem: JSONProblem) -> CorpusError {
    CorpusError(
      .invalidRecipe, "\(path) is no configuration of a model: \(problem)",
      remedy: "compare it with what `corpus train --print-config` prints")
  }
}

extension GPTConfiguration {
  /// A configuration, or a description that has its members, with those that it may lack: files from before there were
  /// such choices do.
  static func completed(_ value: JSONValue) throws(CorpusError) -> JSONValue {
    let defaults = try CanonicalJSON.value(
      GPTConfiguration(
        model: ModelConfiguration(width: 1, layers: 1, heads: 1),
        training: TrainingConfiguration(batch: 1, learningRate: 1, warmup: 0, steps: 0)))
    let required = ["width", "layers", "heads", "batch", "learning_rate", "warmup", "steps"]
    return value.completed(by: defaults, except: required)
  }
}

extension JSONValue {
  /// The object with the members of `defaults` that it lacks, but for some names.
  fileprivate func completed(by defaults: JSONValue, except names: [String]) -> JSONValue {
    guard case .object(let own) = self, case .object(let others) = defaults else { return self }
    var members = own
    for (name, value) in others where !names.contains(name) {
      let present = own[name] ?? (value.isObject ? .object([:]) : value)
      members[name] = present.completed(by: value, except: names)
    }
    return .object(members)
  }

  private var isObject: Bool { if case .object = self { true } else { false } }
}
