import CKernels
import VectorKernels

/// What a transformer computes of B examples, and the gradients of it: matrices in one allocation.
///
/// Examples have T rows of tokens each, which follow each other; after the attention of the last block only C, those of
/// the tokens that are decoded. Gradients have a d before the name of what they are of, and no rows where they are not
/// kept.
package struct Activations {
  /// Networks (B, P): the noised target, the start, and the prediction of the clean target.
  package struct Networks {
    package let xT, start, x0: Matrix
  }

  struct Block {
    /// The tokens of an example that the block passes on, which come first.
    let queries: Int
    /// The input, normalised (B T, d), and queries, keys and values (B T, 3 d).
    let norm1, qkv, dqkv: Matrix
    /// Probabilities (B, heads × queries × ``TransformerShape/across``).
    let probabilities: Matrix
    /// What attention gives, the residual stream after it, that normalised, and after the MLP: (B queries, d).
    let attention, residual, norm2, output, dresidual, doutput: Matrix
    /// What `mlpIn` gives, which becomes GELU's slopes, and GELU of it: (B queries, 4 d).
    let mlpIn, gelu, dmlpIn: Matrix
    /// Mean and 1 / deviation of each row: (B T, 2) and (B queries, 2).
    let statistics1, statistics2: Matrix
  }

  /// B.
  package let examples: Int
  /// The networks in the order of their parameters, and in that of their tokens, which may be the same ones.
  package let parameters, tokens: Networks
  /// The gradient of x0 in either order: (B, P).
  package let dx0: Matrix
  let dx0OfTokens: Matrix
  /// The weights between the units that two tokens stand for, (B T, ``TransformerShape/across``); nil where no token is
  /// linked to another.
  let links: Matrix?
  /// Embedded scalars: (B, scalars × floats of one).
  package let scalars: Matrix
  /// What the encoders give, and what the first block gets: (B T, d).
  let encoded, input, dencoded, dinput: Matrix
  /// The output of the last block, normalised: (B C, d). Its gradient lies where that of `input` will be.
  let final, dfinal: Matrix
  /// Mean and 1 / deviation of each row: (B T, 2) and (B C, 2).
  let encoderStatistics, finalStatistics: Matrix
  let blocks: [Block]
  /// Working memory of a block's backward pass: (B T, d).
  let scratch: Matrix
  /// Working memory of the attention of a group.
  let attentionScratch: UnsafeMutablePointer<Float>
  /// The gradients of all vectors among the weights, of this group alone: (``WeightLayout/vectorCount``).
  let dvectors: UnsafeMutablePointer<Float>

  private let owner: ActivationMemory

  /// Lays the matrices of all examples out, and takes those rows that belong to some of them.
  fileprivate init(_ examples: Range<Int>, in owner: ActivationMemory) {
    self.owner = owner
    let (shape, capacity, keepsGradients) = (owner.shape, owner.capacity, owner.keepsGradients)
    let group = examples.lowerBound / shape.group
    let (count, width, length) = (shape.tokens.count, shape.width, shape.parameterCount)
    let decoded = shape.tokens.outputs.count
    let kept = keepsGradients ? 1 : 0
    var end = owner.memory.base
    /// A matrix with so many rows of each example.
    func matrix(_ count: Int, _ columns: Int, stride: Int? = nil) -> Matrix {
      let whole = Matrix(end, rows: capacity * count, columns: columns, stride: stride)
      end += ck_padded(whole.rows * whole.stride)
      return whole[(examples.lowerBound * count)..<(examples.upperBound * count)]
    }
    func rows(_ count: Int, _ columns: Int) -> Matrix { matrix(count, columns, stride: ck_row(columns)) }
    func networks() -> Networks {
      Networks(xT: matrix(1, length), start: matrix(1, length), x0: matrix(1, length))
    }
    self.examples = examples.count
    parameters = networks()
    dx0 = matrix(kept, length)
    tokens = shape.tokens.order == nil ? parameters : networks()
    dx0OfTokens = shape.tokens.order == nil ? dx0 : matrix(kept, length)
    links = shape.tokens.links.isEmpty ? nil : matrix(count, shape.across)
    scalars = matrix(1, TokenLayout.scalars * shape.configuration.scalarCount)
    (encoded, dencoded) = (rows(count, width), rows(kept * count, width))
    (input, dinput) = (rows(count, width), rows(kept * count, width))
    (final, scratch) = (rows(decoded, width), rows(kept * count, width))
    // Among the group's own rows, as other groups use theirs at the same time.
    dfinal = dinput[0..<kept * examples.count * decoded]
    (encoderStatistics, finalStatistics) = (matrix(count, 2), matrix(decoded, 2))
    dvectors = owner.dvectors.row(group)
    attentionScratch = end + group * shape.attentionScratch
    end += ck_padded(shape.groups(of: capacity) * shape.attentionScratch)
    var starts: [UnsafeMutablePointer<Float>] = []
    blocks = (0..<shape.configuration.layers).map { layer in
      // Without gradients, a block reads only what the one before has written, so two of them take turns.
      if !keepsGradients, layer >= 2 { end = starts[layer - 2] }
      starts.append(end)
      let queries = shape.queries(of: layer)
      let mlpIn = rows(queries, 4 * width)
      // Without gradients, nobody asks for the slopes that are left in the other.
      let gelu = keepsGradients ? rows(queries, 4 * width) : mlpIn
      return Block(
        queries: queries, norm1: rows(count, width), qkv: rows(count, 3 * width),
        dqkv: rows(kept * count, 3 * width), probabilities: matrix(1, shape.probabilities),
        attention: rows(queries, width), residual: rows(queries, width), norm2: rows(queries, width),
        output: rows(queries, width), dresidual: rows(kept * queries, width),
        doutput: rows(kept * queries, width), mlpIn: mlpIn, gelu: gelu,
        dmlpIn: rows(kept * queries, 4 * width), statistics1: matrix(count, 2),
        statistics2: matrix(queries, 2))
    }
    precondition(end - owner.memory.base <= owner.memory.count)
  }

  /// What an encoder reads: (B, its length).
  func source(of input: TokenLayout.Input) -> Matrix {
    switch input.source {
    case .xT: tokens.xT[columns: input.columns]
    case .start: tokens.start[columns: input.columns]
    case .scalars: scalars[columns: input.columns]
    }
  }

  /// The floats that they take.
  ///
  /// How many examples are computed at once, and so the order of sums in a training, depends on what this gives with
  /// gradients.
  package static func plan(_ shape: TransformerShape, examples: Int, keepsGradients: Bool) -> Int {
    let (rows, length) = (examples * shape.tokens.count, shape.parameterCount)
    let (width, triple, inner) = (ck_row(shape.width), ck_row(3 * shape.width), ck_row(4 * shape.width))
    let slack = 16 * 32
    let groups = shape.groups(of: examples)
    let shared =
      examples
      * ((keepsGradients ? 4 : 3) * (shape.tokens.order == nil ? 1 : 2) * length + TokenLayout.scalars
        * shape.configuration.scalarCount)
      + rows * ((keepsGradients ? 6 : 3) * width + 4 + (shape.tokens.links.isEmpty ? 0 : shape.across))
      + groups * shape.attentionScratch + slack
    let values = 5 * width + triple + (keepsGradients ? 2 : 1) * inner
    let gradients = keepsGradients ? 2 * width + triple + inner : 0
    let block = rows * (values + gradients + 4) + examples * shape.probabilities + slack
    return shared + (keepsGradients ? shape.configuration.layers : 2) * block
  }
}

/// Memory for the activations of up to `capacity` examples.
package final class ActivationMemory {
  package let capacity: Int
  fileprivate let shape: TransformerShape
  fileprivate let keepsGradients: Bool
  fileprivate let memory: AlignedBuffer<Float>
  private let vectors: AlignedBuffer<Float>

  /// - Parameter keepsGradients: without, there is room for the forward pass only, and all blocks share theirs.
  package init(_ shape: TransformerShape, capacity: Int, keepsGradients: Bool) {
    (self.shape, self.capacity, self.keepsGradients) = (shape, capacity, keepsGradients)
    memory = AlignedBuffer(
      count: Activations.plan(shape, examples: capacity, keepsGradients: keepsGradients))
    vectors = AlignedBuffer(
      count: keepsGradients ? shape.groups(of: capacity) * shape.weights.vectorCount : 0)
  }

  /// The gradients of all vectors among the weights: (groups, ``WeightLayout/vectorCount``). Backward passes add to them.
  package var dvectors: Matrix {
    Matrix(vectors.base, rows: shape.groups(of: capacity), columns: shape.weights.vectorCount)
  }

  /// The activations of some examples: those of a group, which have working memory of their own, or all from the first on.
  package subscript(examples: Range<Int>) -> Activations { Activations(examples, in: self) }
}
