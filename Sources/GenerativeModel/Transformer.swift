import CKernels
import Corpus
import VectorKernels

/// G.pt's forward and backward passes over flat buffers (reference-system.md, section 6).
///
/// Examples are computed in groups, each by one thread, from the encoders to the decoders and back. The gradients of
/// the matrices are products over all examples and follow when all groups are done.
struct Transformer: @unchecked Sendable {
  // Sendable because the tables of kernels are constants of the program.
  let shape: TransformerShape
  let kernels: Kernels
  let functions: ck_transformer

  init(shape: TransformerShape, kernels: Kernels) {
    self.shape = shape
    self.kernels = kernels
    functions = kernels.functions.transformer.pointee
  }

  /// The rows of some examples' tokens.
  func rows(_ examples: Range<Int>) -> Range<Int> {
    (examples.lowerBound * shape.tokens.count)..<(examples.upperBound * shape.tokens.count)
  }

  /// Token `token` of each of these examples: (examples, d).
  func token(_ token: Int, of matrix: Matrix, _ examples: Range<Int>) -> Matrix {
    Matrix(
      matrix.base + (examples.lowerBound * shape.tokens.count + token) * matrix.stride, rows: examples.count,
      columns: shape.width, stride: shape.tokens.count * matrix.stride)
  }

  /// What the encoder of a token reads: (examples, its length).
  func source(_ token: Int, _ a: Activations, _ examples: Range<Int>) -> Matrix {
    let chunks = shape.tokens.chunks
    if token < 2 * chunks.count {
      return columns(chunks[token % chunks.count], of: token < chunks.count ? a.noised : a.start, examples)
    }
    let count = shape.configuration.scalarCount
    let first = (token - 2 * chunks.count) * count
    return columns(first..<(first + count), of: a.scalars, examples)
  }

  func columns(_ columns: Range<Int>, of matrix: Matrix, _ examples: Range<Int>) -> Matrix {
    Matrix(
      matrix.base + examples.lowerBound * matrix.stride + columns.lowerBound, rows: examples.count,
      columns: columns.count, stride: matrix.stride)
  }

  /// Predicts the clean targets of a group: from `a.noised`, `a.start` and `a.scalars` to `a.prediction`.
  func forward(_ weights: UnsafePointer<Float>, _ a: Activations, _ examples: Range<Int>) {
    let (layout, width, count) = (shape.weights, shape.width, shape.tokens.count)
    let weights = UnsafeMutablePointer(mutating: weights)
    let rows = rows(examples)
    for (number, encoder) in layout.encoders.enumerated() {
      let source = source(number, a, examples)
      token(number, of: a.encoded, examples).setProduct(
        of: source, by: matrix(encoder, weights), .transposed)
    }
    functions.norm(
      rows.count, width, a.encoded[rows].base, weights + layout.encoderNorm.gain,
      weights + layout.encoderNorm.bias, weights + layout.positions, count, a.input[rows].base,
      a.encoderStatistics + 2 * rows.lowerBound)
    var input = a.input
    for (block, activations) in zip(layout.blocks, a.blocks) {
      forward(block, weights, input, activations, a, examples)
      input = activations.output
    }
    functions.norm(
      rows.count, width, input[rows].base, weights + layout.finalNorm.gain, weights + layout.finalNorm.bias,
      nil, 1, a.final[rows].base, a.finalStatistics + 2 * rows.lowerBound)
    for (number, chunk) in shape.tokens.chunks.enumerated() {
      columns(chunk, of: a.prediction, examples).setProduct(
        of: token(number, of: a.final, examples),
        by: matrix(layout.decoders[number], weights), .transposed)
    }
    let predicted = a.prediction.base + examples.lowerBound * shape.parameterCount
    functions.blend(
      examples.count * shape.parameterCount, 1, predicted, 1,
      a.start.base + examples.lowerBound * shape.parameterCount, predicted)
  }

  private func forward(
    _ block: WeightLayout.Block, _ weights: UnsafeMutablePointer<Float>, _ input: Matrix,
    _ b: Activations.Block,
    _ a: Activations, _ examples: Range<Int>
  ) {
    let (width, count) = (shape.width, shape.tokens.count)
    let rows = rows(examples)
    func multiply(_ out: Matrix, _ x: Matrix, _ layer: WeightLayout.Linear) {
      out[rows].setProduct(of: x[rows], by: matrix(layer.weight, weights), .transposed)
    }
    func normalize(
      _ x: Matrix, _ norm: WeightLayout.Norm, _ y: Matrix, _ statistics: UnsafeMutablePointer<Float>
    ) {
      functions.norm(
        rows.count, width, x[rows].base, weights + norm.gain, weights + norm.bias, nil, 1, y[rows].base,
        statistics + 2 * rows.lowerBound)
    }
    normalize(input, block.norm1, b.norm1, b.statistics1)
    multiply(b.qkv, b.norm1, block.qkv)
    functions.attention(
      examples.count, count, shape.configuration.heads, shape.depth, weights + block.qkv.bias,
      b.qkv[rows].base, b.probabilities + examples.lowerBound * shape.probabilities, b.attention[rows].base,
      scratch(a, examples))
    multiply(b.middle, b.attention, block.projection)
    functions.residual(
      rows.count, width, input[rows].base, b.middle[rows].base, weights + block.projection.bias,
      b.middle[rows].base)
    normalize(b.middle, block.norm2, b.norm2, b.statistics2)
    multiply(b.expanded, b.norm2, block.expansion)
    functions.gelu(
      rows.count, 4 * width, weights + block.expansion.bias, b.expanded[rows].base, b.activated[rows].base)
    multiply(b.output, b.activated, block.contraction)
    functions.residual(
      rows.count, width, b.middle[rows].base, b.output[rows].base, weights + block.contraction.bias,
      b.output[rows].base)
  }

  func matrix(_ tensor: WeightLayout.Tensor, _ memory: UnsafeMutablePointer<Float>) -> Matrix {
    Matrix(memory + tensor.offset, rows: tensor.shape[0], columns: tensor.shape[1], stride: tensor.stride)
  }

  /// A group's working memory for attention.
  func scratch(_ a: Activations, _ examples: Range<Int>) -> UnsafeMutablePointer<Float> {
    a.attentionScratch[(examples.lowerBound / TransformerShape.group)..<a.attentionScratch.rows].base
  }
}
