import CKernels
import VectorKernels

/// What a transformer computes of some examples, and the gradients of it: matrices in one allocation.
///
/// B examples have T rows of tokens each, which follow each other. A block's matrices have fewer after its attention:
/// those of the tokens that it passes on. All are as large as the examples; a subscript gives those of some of them.
package struct Activations {
  /// Networks (B, P): the noised target, the start, and the prediction of the clean target.
  package struct Networks {
    package var xT, start, x0: Matrix
  }

  struct Block {
    /// The tokens of an example that the block passes on, which come first.
    var queries: Int
    /// (B T, d), and queries, keys and values (B T, 3 d).
    var norm1, qkv: Matrix
    /// (B queries, d): what attention gives, the residual stream after it, and after the MLP.
    var attention, residual, norm2, output: Matrix
    /// (B queries, 4 d): what `mlpIn` gives, which becomes GELU's slopes, and GELU of it.
    var mlpIn, gelu: Matrix
    /// Mean and 1 / deviation of each row: (B T, 2) and (B queries, 2).
    var statistics1, statistics2: Matrix
    /// (B, heads × queries × what a vector fills up from T).
    var probabilities: Matrix
    /// Where gradients are kept.
    var gradients: Gradients?

    /// Gradients of their namesakes.
    struct Gradients {
      var qkv, residual, mlpIn, output: Matrix
    }
  }

  /// Gradients of their namesakes; that of `final` lies where that of `input` will be.
  package struct Gradients {
    /// (B, P).
    package var x0: Matrix
    var x0InTokenOrder: Matrix
    var encoded, input, final: Matrix
    var blocks: [Block.Gradients]
    /// (B T, d): working memory of a block.
    var scratch: Matrix
  }

  let shape: TransformerShape
  /// B.
  package private(set) var examples: Int
  package private(set) var parameters: Networks
  /// The same networks in the order of their tokens; they themselves where that is their own.
  private(set) var tokens: Networks
  /// (B T, T and what fills a vector): the weights between the units that two tokens stand for; nil where no token is
  /// linked to another.
  private(set) var links: Matrix?
  /// (B, scalars × embedded scalar).
  package private(set) var scalars: Matrix
  /// (B T, d): what the encoders give, and what the first block gets.
  private(set) var encoded, input: Matrix
  /// (B C, d): the output of the last block, normalised.
  private(set) var final: Matrix
  /// Mean and 1 / deviation of each row: (B T, 2) and (B C, 2).
  private(set) var encoderStatistics, finalStatistics: Matrix
  private(set) var blocks: [Block]
  /// (1, floats): working memory of the group that the first example is in.
  private(set) var attentionScratch: Matrix
  package private(set) var gradients: Gradients?
  private let memory: Memory

  private final class Memory {
    let buffer: AlignedBuffer<Float>
    init(count: Int) { buffer = AlignedBuffer(count: count) }
  }

  /// Room for so many examples.
  ///
  /// - Parameter keepsGradients: without, there is room for the forward pass only, and all blocks share theirs.
  package init(_ shape: TransformerShape, examples: Int, keepsGradients: Bool) {
    self.shape = shape
    self.examples = examples
    let memory = Memory(count: Self.plan(shape, examples: examples, keepsGradients: keepsGradients))
    self.memory = memory
    var end = memory.buffer.base
    func matrix(_ rows: Int, _ columns: Int, stride: Int? = nil) -> Matrix {
      defer { end += (rows * (stride ?? columns) + 15) / 16 * 16 }
      return Matrix(end, rows: rows, columns: columns, stride: stride)
    }
    let (rows, width, length) = (examples * shape.tokens.count, shape.width, shape.parameterCount)
    func ofTokens(_ columns: Int) -> Matrix { matrix(rows, columns, stride: ck_row(columns)) }
    func networks() -> Networks {
      Networks(xT: matrix(examples, length), start: matrix(examples, length), x0: matrix(examples, length))
    }
    let isOrdered = shape.tokens.order == nil
    parameters = networks()
    tokens = isOrdered ? parameters : networks()
    links = shape.tokens.links.isEmpty ? nil : matrix(rows, shape.across)
    scalars = matrix(examples, TokenLayout.scalars * shape.configuration.scalarCount)
    (encoded, input, final) = (ofTokens(width), ofTokens(width), ofTokens(width))
    (encoderStatistics, finalStatistics) = (matrix(rows, 2), matrix(rows, 2))
    attentionScratch = matrix(shape.groups(of: examples), shape.attentionScratch)
    func block() -> Block {
      let mlpIn = ofTokens(4 * width)
      return Block(
        queries: shape.tokens.count, norm1: ofTokens(width), qkv: ofTokens(3 * width),
        attention: ofTokens(width), residual: ofTokens(width), norm2: ofTokens(width),
        output: ofTokens(width), mlpIn: mlpIn,
        // Without gradients, nobody asks for the slopes that are left in the other.
        gelu: keepsGradients ? ofTokens(4 * width) : mlpIn, statistics1: matrix(rows, 2),
        statistics2: matrix(rows, 2), probabilities: matrix(examples, shape.probabilities),
        gradients: !keepsGradients
          ? nil
          : Block.Gradients(
            qkv: ofTokens(3 * width), residual: ofTokens(width), mlpIn: ofTokens(4 * width),
            output: ofTokens(width)))
    }
    let layers = shape.configuration.layers
    // Without gradients, a block reads only what the one before has written, so two of them take turns.
    let distinct = (0..<(keepsGradients ? layers : 2)).map { _ in block() }
    blocks = (0..<layers).map { distinct[$0 % distinct.count] }
    if keepsGradients {
      let x0 = matrix(examples, length)
      let input = ofTokens(width)
      gradients = Gradients(
        x0: x0, x0InTokenOrder: isOrdered ? x0 : matrix(examples, length), encoded: ofTokens(width),
        input: input, final: input, blocks: blocks.compactMap(\.gradients), scratch: ofTokens(width))
    }
    precondition(end - memory.buffer.base <= memory.buffer.count)
  }

  /// The activations of some examples, which begin with a group or are one.
  package subscript(examples: Range<Int>) -> Activations {
    let (rows, decoded) = (shape.rows(examples), shape.rows(examples, of: shape.tokens.outputs.count))
    var part = self
    part.examples = examples.count
    part.parameters = parameters[examples]
    part.tokens = tokens[examples]
    part.links = links?[rows]
    part.scalars = scalars[examples]
    (part.encoded, part.input, part.final) = (encoded[rows], input[rows], final[decoded])
    (part.encoderStatistics, part.finalStatistics) = (encoderStatistics[rows], finalStatistics[decoded])
    let group = examples.lowerBound / shape.group
    part.attentionScratch = attentionScratch[group..<group + 1]
    part.blocks = blocks.enumerated().map { layer, block in
      let queries = shape.queries(of: layer)
      return block.part(examples, rows, shape.rows(examples, of: queries), queries: queries)
    }
    part.gradients?.take(examples, rows, decoded: decoded.count, blocks: part.blocks.compactMap(\.gradients))
    return part
  }

  /// The floats that it takes.
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

extension Activations.Networks {
  fileprivate subscript(examples: Range<Int>) -> Self {
    Self(xT: xT[examples], start: start[examples], x0: x0[examples])
  }
}

extension Activations.Block {
  /// Some examples' part.
  ///
  /// - Parameters:
  ///   - rows: those of all their tokens.
  ///   - passed: those of the tokens that the block passes on.
  fileprivate func part(
    _ examples: Range<Int>, _ rows: Range<Int>, _ passed: Range<Int>, queries: Int
  ) -> Self {
    Self(
      queries: queries, norm1: norm1[rows], qkv: qkv[rows], attention: attention[passed],
      residual: residual[passed], norm2: norm2[passed], output: output[passed], mlpIn: mlpIn[passed],
      gelu: gelu[passed], statistics1: statistics1[rows], statistics2: statistics2[passed],
      probabilities: probabilities[examples],
      gradients: gradients.map {
        Gradients(
          qkv: $0.qkv[rows], residual: $0.residual[passed], mlpIn: $0.mlpIn[passed],
          output: $0.output[passed])
      })
  }
}

extension Activations.Gradients {
  /// Becomes some examples' part.
  fileprivate mutating func take(
    _ examples: Range<Int>, _ rows: Range<Int>, decoded: Int, blocks: [Activations.Block.Gradients]
  ) {
    (x0, x0InTokenOrder) = (x0[examples], x0InTokenOrder[examples])
    (encoded, input, scratch) = (encoded[rows], input[rows], scratch[rows])
    // Among the group's own rows, as other groups use theirs at the same time.
    final = input[0..<decoded]
    self.blocks = blocks
  }
}
