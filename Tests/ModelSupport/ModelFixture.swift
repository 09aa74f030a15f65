import CorpusStore
package import Corpus
package import Foundation
package import GenerativeModel
import MetricIndex
package import ModelTraining
package import ShardStore
package import TestSupport

/// A corpus of small made-up runs, and configurations for it.
package struct ModelFixture {
  package static let architecture = Architecture(
    name: "mlp-3-5-2",
    tensors: [
      .init("fc1.weight", [5, 3]), .init("fc1.bias", [5]), .init("fc2.weight", [2, 5]),
      .init("fc2.bias", [2]),
    ],
    permutations: PermutationGroups(
      groups: [.init("fc1", 5)],
      tensors: ["fc1.weight": [["fc1"], [3]], "fc1.bias": [["fc1"]], "fc2.weight": [[2], ["fc1"]]]))

  package let folder = TemporaryDirectory()
  package let corpus: CorpusDirectory

  /// The metric of run and step; nil for one that can be learned.
  private let curve: ((Int64, Int) -> Float)?

  package init(
    runs: Range<Int64> = 0..<10, testFraction: Double = 0.2, curve: ((Int64, Int) -> Float)? = nil
  ) throws {
    self.curve = curve
    let manifest = Manifest(
      task: "made-up", architecture: Self.architecture, metrics: [.testLoss, .trainReturn],
      recipe: .object(["runs": .number(1)]), generatorVersion: 1,
      split: SplitRule(testFraction: testFraction, testLimit: 2), codec: .delta)
    corpus = try CorpusDirectory(openingOrCreating: folder.path + "/corpus", manifest: manifest)
    try store(runs)
  }

  package func store(_ runs: Range<Int64>) throws {
    let writer = try CorpusWriter(corpus, index: try MetricIndex(openingOrCreating: corpus))
    var encoder = try RunEncoder(
      header: ShardHeader(manifest: corpus.manifest, codec: .delta, checkpoints: 23))
    for run in runs {
      _ = try writer.store(run, with: &encoder) { () throws(CorpusError) in
        let made = TestCorpus.run(run, parameters: Self.architecture.parameterCount)
        // Networks shrink, and the metric tells by how much: a rule that can be learned.
        let count = Self.architecture.parameterCount
        let rest = made.iterations.indices.map { 1 - Float($0) / 30 }
        let metric = curve.map { curve in rest.indices.map { curve(run, $0) } } ?? rest
        return Run(
          seed: run, iterations: made.iterations, metrics: [made.metrics[0], metric],
          parameters: made.parameters.enumerated().map { rest[$0 / count] * $1 })
      }
    }
    try writer.finish()
  }

  package func directory(_ name: String = "model") -> ModelDirectory {
    ModelDirectory(folder.path + "/" + name)
  }

  package static func configuration(
    steps: Int = 12, _ change: (inout GPTConfiguration) -> Void = { _ in }
  ) -> GPTConfiguration {
    var model = ModelConfiguration(width: 16, layers: 2, heads: 2, chunk: 6)
    model.frequencies = 5
    model.diffusionSteps = 20
    var training = TrainingConfiguration(batch: 8, learningRate: 1e-3, warmup: 2, steps: steps)
    training.augmentation = "canonical"
    var configuration = GPTConfiguration(model: model, training: training)
    change(&configuration)
    return configuration
  }

  package func trainer(
    steps: Int = 12, into name: String = "model", workers: Int = 2,
    _ change: (inout GPTConfiguration) -> Void = { _ in }
  ) throws -> Trainer {
    try Trainer(
      Self.configuration(steps: steps, change), on: corpus, into: directory(name), workers: workers)
  }

  /// A network to prompt from.
  package static let start = (0..<architecture.parameterCount).map { Float($0 % 7) / 7 - 0.4 }

  /// A model's file as one of before there were hashes, for changing it.
  package static func unhashed(_ file: Data) -> Data {
    var file = file
    if let name = file.firstRange(of: Data("\"sha256\"".utf8)) {
      file.replaceSubrange(name, with: Data("\"unused\"".utf8))
    }
    return file
  }

  package func bytes(_ name: String, of file: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(directory(name).path)/\(file)"))
  }
}

/// The code of the error that `body` throws.
package func code(_ body: () throws -> Void) -> CorpusError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? CorpusError)?.code
  }
}
