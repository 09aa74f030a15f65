import CKernels
import VectorKernels

/// What a transformer computes of some examples, and the gradients of it: matrices in one allocation.
///
/// R = examples × T rows of tokens; those of an example follow each other.
final class Activations {
  struct Block {
    /// (R, d), but queries, keys and values (R, 3 d) and the inner layer (R, 4 d).
    let norm1, qkv, attention, middle, norm2, expanded, activated, output: Matrix
    let statistics1, statistics2, probabilities: UnsafeMutablePointer<Float>
    /// Gradients of their namesakes.
    let qkvGradient, middleGradient, expandedGradient, outputGradient: Matrix?
  }

  /// How many examples fit.
  let examples: Int
  /// (examples, P): the noised target, the start, and the model's idea of the clean target.
  let noised, start, prediction: Matrix
  /// (examples, scalars × embedded scalar).
  let scalars: Matrix
  /// (R, d): what the encoders give, and what the first block gets.
  let encoded, input: Matrix
  let encoderStatistics, finalStatistics: UnsafeMutablePointer<Float>
  let blocks: [Block]
  /// (R, d): the output of the last block, normalised.
  let final: Matrix
  /// Gradients of their namesakes, where they are kept.
  let predictionGradient, encodedGradient, finalGradient: Matrix?
  /// (R, d), for who needs it within a block.
  let passing: Matrix
  /// Working memory of a group of examples each.
  let attentionScratch: Matrix
  private let memory: AlignedBuffer<Float>

  /// - Parameter keepsGradients: without, there is room for the forward pass only, and all blocks share theirs.
  init(_ shape: TransformerShape, examples: Int, keepsGradients: Bool) {
    self.examples = examples
    memory = AlignedBuffer(count: Self.plan(shape, examples: examples, keepsGradients: keepsGradients))
    var end = memory.base
    func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
      defer { end += Self.rounded(count) }
      return end
    }
    func matrix(_ rows: Int, _ columns: Int) -> Matrix {
      Matrix(floats(rows * columns), rows: rows, columns: columns)
    }
    let (rows, width, length) = (examples * shape.tokens.count, shape.width, shape.parameterCount)
    func gradient(_ rows: Int, _ columns: Int) -> Matrix? { keepsGradients ? matrix(rows, columns) : nil }
    noised = matrix(examples, length)
    start = matrix(examples, length)
    prediction = matrix(examples, length)
    scalars = matrix(examples, TokenLayout.scalars * shape.configuration.scalarCount)
    encoded = matrix(rows, width)
    input = matrix(rows, width)
    encoderStatistics = floats(2 * rows)
    finalStatistics = floats(2 * rows)
    final = matrix(rows, width)
    passing = matrix(rows, width)
    attentionScratch = matrix(
      (examples + TransformerShape.group - 1) / TransformerShape.group, shape.attentionScratch)
    predictionGradient = gradient(examples, length)
    encodedGradient = gradient(rows, width)
    finalGradient = gradient(rows, width)
    func block() -> Block {
      Block(
        norm1: matrix(rows, width), qkv: matrix(rows, 3 * width), attention: matrix(rows, width),
        middle: matrix(rows, width), norm2: matrix(rows, width), expanded: matrix(rows, 4 * width),
        activated: matrix(rows, 4 * width), output: matrix(rows, width), statistics1: floats(2 * rows),
        statistics2: floats(2 * rows), probabilities: floats(examples * shape.probabilities),
        qkvGradient: gradient(rows, 3 * width), middleGradient: gradient(rows, width),
        expandedGradient: gradient(rows, 4 * width), outputGradient: gradient(rows, width))
    }
    if keepsGradients {
      blocks = (0..<shape.configuration.layers).map { _ in block() }
    } else {
      // A block reads what the one before has written, so two of them take turns.
      let pair = [block(), block()]
      blocks = (0..<shape.configuration.layers).map { pair[$0 % 2] }
    }
    precondition(end - memory.base <= memory.count)
  }

  private static func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  /// The floats that it takes.
  static func plan(_ shape: TransformerShape, examples: Int, keepsGradients: Bool) -> Int {
    let (rows, width, length) = (examples * shape.tokens.count, shape.width, shape.parameterCount)
    let slack = 16 * 32
    let groups = (examples + TransformerShape.group - 1) / TransformerShape.group
    let shared =
      examples * ((keepsGradients ? 4 : 3) * length + TokenLayout.scalars * shape.configuration.scalarCount)
      + rows * ((keepsGradients ? 6 : 4) * width + 4) + groups * shape.attentionScratch + slack
    let block =
      rows * ((keepsGradients ? 25 : 16) * width + 4) + examples * shape.probabilities + slack
    return shared + (keepsGradients ? shape.configuration.layers : 2) * block
  }
}
