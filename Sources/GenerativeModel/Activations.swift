import CKernels
import VectorKernels

/// What a transformer computes of some examples, and the gradients of it: matrices in one allocation.
///
/// R = examples × T rows of tokens; those of an example follow each other. What comes after the last attention has fewer:
/// those of the tokens that the last block passes on.
final class Activations {
  struct Block {
    /// (R, d), but queries, keys and values (R, 3 d) and the inner layer (R, 4 d).
    let norm1, qkv, attention, middle, norm2, expanded, activated, output: Matrix
    let statistics1, statistics2, probabilities: UnsafeMutablePointer<Float>
    /// Gradients of their namesakes.
    let qkvGradient, middleGradient, expandedGradient, outputGradient: Matrix?
  }

  struct Ordered {
    let noised, start, prediction: Matrix
    let predictionGradient: Matrix?
  }

  /// How many examples fit.
  let examples: Int
  /// (examples, P): the noised target, the start, and the model's idea of the clean target.
  let noised, start, prediction: Matrix
  /// The same in the order of their tokens; they themselves where that is their own.
  let ordered: Ordered
  /// (examples × T, T and what fills a vector): the weights between the units that two tokens stand for; nil where no
  /// token is linked to another.
  let links: Matrix?
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
    /// Of tokens.
    func matrix(ofTokens columns: Int) -> Matrix {
      Matrix(floats(rows * ck_row(columns)), rows: rows, columns: columns, stride: ck_row(columns))
    }
    let (rows, width, length) = (examples * shape.tokens.count, shape.width, shape.parameterCount)
    func gradient(_ rows: Int, _ columns: Int) -> Matrix? { keepsGradients ? matrix(rows, columns) : nil }
    func gradient(ofTokens columns: Int) -> Matrix? { keepsGradients ? matrix(ofTokens: columns) : nil }
    noised = matrix(examples, length)
    start = matrix(examples, length)
    prediction = matrix(examples, length)
    links = shape.tokens.links.isEmpty ? nil : matrix(rows, shape.across)
    scalars = matrix(examples, TokenLayout.scalars * shape.configuration.scalarCount)
    encoded = matrix(ofTokens: width)
    input = matrix(ofTokens: width)
    encoderStatistics = floats(2 * rows)
    finalStatistics = floats(2 * rows)
    final = matrix(ofTokens: width)
    passing = matrix(ofTokens: width)
    attentionScratch = matrix(
      shape.groups(of: examples), shape.attentionScratch)
    predictionGradient = gradient(examples, length)
    ordered =
      shape.tokens.order == nil
      ? Ordered(
        noised: noised, start: start, prediction: prediction, predictionGradient: predictionGradient)
      : Ordered(
        noised: matrix(examples, length), start: matrix(examples, length),
        prediction: matrix(examples, length), predictionGradient: gradient(examples, length))
    encodedGradient = gradient(ofTokens: width)
    finalGradient = gradient(ofTokens: width)
    func block() -> Block {
      let expanded = matrix(ofTokens: 4 * width)
      return Block(
        norm1: matrix(ofTokens: width), qkv: matrix(ofTokens: 3 * width), attention: matrix(ofTokens: width),
        middle: matrix(ofTokens: width), norm2: matrix(ofTokens: width),
        expanded: expanded,
        // Without gradients, nobody asks for the slopes that are left in the other.
        activated: keepsGradients ? matrix(ofTokens: 4 * width) : expanded, output: matrix(ofTokens: width),
        statistics1: floats(2 * rows),
        statistics2: floats(2 * rows), probabilities: floats(examples * shape.probabilities),
        qkvGradient: gradient(ofTokens: 3 * width), middleGradient: gradient(ofTokens: width),
        expandedGradient: gradient(ofTokens: 4 * width), outputGradient: gradient(ofTokens: width))
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

  /// Those of some examples.
  func links(_ examples: Range<Int>) -> UnsafeMutablePointer<Float>? {
    links.map { $0.base + examples.lowerBound * ($0.rows / self.examples) * $0.columns }
  }

  private static func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  /// The floats that it takes.
  static func plan(_ shape: TransformerShape, examples: Int, keepsGradients: Bool) -> Int {
    let (rows, length) = (examples * shape.tokens.count, shape.parameterCount)
    let (width, triple, inner) = (ck_row(shape.width), ck_row(3 * shape.width), ck_row(4 * shape.width))
    let slack = 16 * 32
    let groups = shape.groups(of: examples)
    let shared =
      examples
      * ((keepsGradients ? 4 : 3) * (shape.tokens.order == nil ? 1 : 2) * length + TokenLayout.scalars
        * shape.configuration.scalarCount)
      + rows * ((keepsGradients ? 6 : 4) * width + 4 + (shape.tokens.links.isEmpty ? 0 : shape.across))
      + groups * shape.attentionScratch + slack
    let values = 5 * width + triple + (keepsGradients ? 2 : 1) * inner
    let gradients = keepsGradients ? 2 * width + triple + inner : 0
    let block = rows * (values + gradients + 4) + examples * shape.probabilities + slack
    return shared + (keepsGradients ? shape.configuration.layers : 2) * block
  }
}
