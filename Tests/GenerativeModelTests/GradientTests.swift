import Corpus
import Foundation
import GenerativeModel
import Testing

@Suite struct GradientTests {
  /// The networks of `Benchmarks gpt-parity --task tiny`.
  static let tiny = Architecture(
    name: "tiny",
    tensors: [[5, 3], [5], [2, 5], [2]].enumerated().map { .init("tensor\($0)", $1) })

  static func configuration(batch: Int = 20, steps: Int = 20) -> GPTConfiguration {
    var model = ModelConfiguration(width: 16, layers: 2, heads: 2)
    model.chunk = 4
    var training = TrainingConfiguration(batch: batch, learningRate: 1e-3, warmup: 10, steps: steps)
    training.gradientClip = 1
    training.averageDecay = 0.99
    return GPTConfiguration(model: model, training: training)
  }

  private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Golden/gpt-gradient-v1.safetensors").path

  @Test func everyGradientIsPyTorchs() throws {
    let golden = try tensors(Self.golden)
    let (loss, gradients) = try MadeUpTraining(Self.configuration(), Self.tiny, workers: 2).firstGradient()
    #expect(abs(loss / Double(golden["losses"]![0]) - 1) < 1e-5)
    #expect(gradients.count == golden.count - 1)
    for (name, gradient) in gradients {
      let expected = try #require(golden["gradient.\(name)"])
      let apart = zip(gradient, expected).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }
      let norm = expected.reduce(0) { $0 + pow(Double($1), 2) }
      #expect((apart / norm).squareRoot() < 1e-5, "\(name)")
    }
  }

  @Test func lossesOfUpdatesArePyTorchs() throws {
    let golden = try #require(try tensors(Self.golden)["losses"])
    let losses = try MadeUpTraining(Self.configuration(), Self.tiny, workers: 1).train()
    #expect(zip(losses, golden).allSatisfy { abs($0 / Double($1) - 1) < 1e-5 })
    #expect(losses.count == golden.count && losses[19] < 0.9 * losses[0])
  }

  /// 49 examples are three whole groups and a part of one; 1,040 are more than are computed at once.
  @Test(arguments: [1, 16, 49, 1040]) func workersDoNotMatter(batch: Int) throws {
    func run(_ workers: Int) throws -> [Double] {
      try MadeUpTraining(Self.configuration(batch: batch, steps: 3), Self.tiny, workers: workers).train()
    }
    #expect(try run(1) == run(3))
  }

  /// A gradient is the mean of its parts', however many examples are computed at once.
  @Test func partsOfABatchAddUp() throws {
    let (loss, gradients) = try MadeUpTraining(
      Self.configuration(batch: 1040, steps: 1), Self.tiny, workers: 2
    ).firstGradient()
    #expect(loss.isFinite)
    #expect(gradients.values.allSatisfy { $0.contains { $0 != 0 } })
  }

  private func tensors(_ path: String) throws -> [String: [Float]] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = Int(data[0..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    let header = try #require(
      try JSONSerialization.jsonObject(with: data[8..<(8 + length)]) as? [String: [String: Any]])
    return try header.filter { $0.key != "__metadata__" }.mapValues { entry in
      let offsets = try #require(entry["data_offsets"] as? [Int])
      return data[(8 + length + offsets[0])..<(8 + length + offsets[1])].withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: 4).map {
          bytes.loadUnaligned(fromByteOffset: $0, as: Float.self)
        }
      }
    }
  }
}
