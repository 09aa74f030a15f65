import Corpus
import Foundation
import GenerativeModel
import ModelTraining
import Testing

@Suite struct GradientTests {
  typealias TokenKind = ModelConfiguration.TokenKind

  /// The networks of `Benchmarks gpt-parity`: of `--task tiny` for chunks, of `--task deep --units` for units.
  static func architecture(_ tokens: TokenKind) -> Architecture {
    let shapes =
      tokens == .chunks ? [[5, 3], [5], [2, 5], [2]] : [[3], [4, 3], [4], [6, 4], [6], [2, 6], [2]]
    return Architecture(name: "made-up", tensors: shapes.enumerated().map { .init("tensor\($0)", $1) })
  }

  static func configuration(
    _ tokens: TokenKind = .chunks, batch: Int = 20, steps: Int = 20
  ) -> GPTConfiguration {
    var model = ModelConfiguration(width: 16, layers: 2, heads: 2)
    model.tokens = tokens
    model.chunk = tokens == .chunks ? 4 : 2
    var training = TrainingConfiguration(batch: batch, learningRate: 1e-3, warmup: 10, steps: steps)
    training.gradientClip = 1
    training.emaDecay = 0.99
    return GPTConfiguration(model: model, training: training)
  }

  private func training(_ tokens: TokenKind, batch: Int = 20, steps: Int = 20, workers: Int) throws
    -> ParityTrace
  {
    try ParityTrace(
      Self.configuration(tokens, batch: batch, steps: steps), Self.architecture(tokens), workers: workers)
  }

  private func golden(_ tokens: TokenKind) throws -> [String: [Float]] {
    let file = tokens == .chunks ? "gpt-gradient-v1" : "gpt-gradient-units-v1"
    return try tensors(
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden/\(file).safetensors").path)
  }

  private func expectGradient(_ tokens: TokenKind, _ trace: ParityTrace) throws {
    let golden = try golden(tokens)
    let (loss, gradients) = trace.firstGradient()
    let expectedLoss = try #require(golden["losses"]?.first)
    #expect(abs(loss / Double(expectedLoss) - 1) < 1e-5)
    #expect(gradients.count == golden.count - 1)
    for (name, gradient) in gradients {
      let expected = try #require(golden["gradient.\(name)"])
      let apart = zip(gradient, expected).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }
      let norm = expected.reduce(0) { $0 + pow(Double($1), 2) }
      #expect((apart / norm).squareRoot() < 1e-5, "\(name)")
    }
  }

  @Test(arguments: [TokenKind.chunks, .units]) func `every gradient is PyTorch's`(tokens: TokenKind) throws {
    try expectGradient(tokens, training(tokens, workers: 2))
  }

  /// Of the golden batch's 20 examples 16 are computed at once, and then 4: the gradient stays that of the whole batch.
  @Test(arguments: [TokenKind.chunks, .units]) func `parts of a batch add up`(tokens: TokenKind) throws {
    try expectGradient(
      tokens, ParityTrace(Self.configuration(tokens), Self.architecture(tokens), workers: 2, atOnce: 16))
  }

  @Test(arguments: [TokenKind.chunks, .units]) func `losses of updates are PyTorch's`(tokens: TokenKind)
    throws
  {
    let golden = try #require(try golden(tokens)["losses"])
    let losses = try training(tokens, workers: 1).train()
    #expect(zip(losses, golden).allSatisfy { abs($0 / Double($1) - 1) < 1e-5 })
    #expect(losses.count == golden.count && losses[19] < 0.9 * losses[0])
  }

  /// 49 examples are three whole groups and a part of one; 1,040 are more than are computed at once.
  @Test(arguments: [TokenKind.chunks, .units], [1, 16, 49, 1040])
  func `workers do not matter`(tokens: TokenKind, batch: Int) throws {
    func run(_ workers: Int) throws -> [Double] {
      try training(tokens, batch: batch, steps: 3, workers: workers).train()
    }
    #expect(try run(1) == run(3))
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
