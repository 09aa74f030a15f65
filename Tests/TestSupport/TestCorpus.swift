public import Corpus
import Foundation

/// Small made-up runs of an architecture of seven parameters and two metrics.
public enum TestCorpus {
  public static let architecture = Architecture(
    name: "tiny", tensors: [.init("weight", [2, 3]), .init("bias", [1])])

  public static func manifest(
    task: String = "made-up", learningRate: Double = 0.1, codec: Codec = .delta, testLimit: Int = 2
  ) -> Manifest {
    Manifest(
      task: task, architecture: architecture, metrics: [.testLoss, .trainReturn],
      recipe: .object(["learning_rate": .number(learningRate), "name": .string("ünïcode \"quoted\"")]),
      generatorVersion: 1, split: SplitRule(testFraction: 0.2, testLimit: testLimit), codec: codec)
  }

  /// A random walk, the same for the same seed.
  public static func run(_ seed: Int64, checkpoints: Int = 23, parameters: Int = 7) -> Run {
    var random = PhiloxGenerator(seed: UInt64(seed), stream: 77)
    var vector = (0..<parameters).map { _ in random.uniform() - 0.5 }
    var all: [Float] = []
    var metrics: [[Float]] = [[], []]
    for step in 0..<checkpoints {
      all += vector
      metrics[0].append(random.uniform())
      metrics[1].append(step == 0 ? .nan : Float(step) + random.uniform())
      for i in vector.indices { vector[i] += 0.01 * (random.uniform() - 0.5) }
    }
    return Run(
      seed: seed, iterations: (0..<checkpoints).map { Int32(3 * $0) }, metrics: metrics, parameters: all)
  }
}
