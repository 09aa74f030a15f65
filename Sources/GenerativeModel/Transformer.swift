import CKernels
import Corpus
import PairStream
import VectorKernels

/// G.pt's forward and backward passes over flat buffers (Schemas/reference.md, section 6).
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
  func rows(_ examples: Range<Int>) -> Range<Int> { rows(examples, of: shape.tokens.count) }

  /// Likewise where there are so many of an example.
  func rows(_ examples: Range<Int>, of tokens: Int) -> Range<Int> {
    (examples.lowerBound * tokens)..<(examples.upperBound * tokens)
  }

  /// Token `token`, of so many, of each of these examples: (examples, d).
  func token(_ token: Int, of tokens: Int, in matrix: Matrix, _ examples: Range<Int>) -> Matrix {
    Matrix(
      matrix.base + (examples.lowerBound * tokens + token) * matrix.stride, rows: examples.count,
      columns: shape.width, stride: tokens * matrix.stride)
  }

  /// The rows of examples that pass on their first `passed` tokens, in stretches as long as can be: where they lie among
  /// those of all tokens, and among those passed on.
  func stretches(_ examples: Range<Int>, passing passed: Int) -> [(all: Range<Int>, passed: Range<Int>)] {
    let count = shape.tokens.count
    if passed == count { return [(rows(examples), rows(examples))] }
    return examples.map { ($0 * count..<$0 * count + passed, $0 * passed..<($0 + 1) * passed) }
  }

  /// What an encoder reads: (examples, its length).
  func source(_ input: TokenLayout.Input, _ a: Activations, _ examples: Range<Int>) -> Matrix {
    let source =
      switch input.source {
      case .noised: a.ordered.noised
      case .start: a.ordered.start
      case .scalars: a.scalars
      }
    return columns(input.columns, of: source, examples)
  }

  /// Copies parameter vectors in the order of their tokens, unless that is their own.
  func order(_ vectors: Matrix, to ordered: Matrix, _ examples: Range<Int>) {
    guard let order = shape.tokens.order else { return }
    pick(order, from: vectors, to: ordered, examples)
  }

  /// Copies vectors in the order of their tokens back to their own.
  func restore(_ ordered: Matrix, to vectors: Matrix, _ examples: Range<Int>) {
    guard let places = shape.tokens.places else { return }
    pick(places, from: ordered, to: vectors, examples)
  }

  /// Writes the start's weights between units down where their tokens attend to each other, both ways.
  private func link(_ a: Activations, _ examples: Range<Int>) {
    guard let links = a.links else { return }
    let across = links.columns
    for item in examples {
      let start = a.start.base + item * a.start.stride
      let matrix = links.base + item * shape.tokens.count * across
      for link in shape.tokens.links {
        let part = link.part
        for output in 0..<part.rows {
          for input in 0..<part.columns {
            let weights = start + part.start + (output * part.columns + input) * part.block
            var sum: Float = 0
            for i in 0..<part.block { sum += weights[i] }
            matrix[(link.outputs + output) * across + link.inputs + input] = sum
            matrix[(link.inputs + input) * across + link.outputs + output] = sum
          }
        }
      }
    }
  }

  private func pick(_ order: [UInt32], from input: Matrix, to output: Matrix, _ examples: Range<Int>) {
    order.withUnsafeBufferPointer { places in
      for item in examples {
        kernels.functions.permute(
          1, 1, nil, places.count, places.baseAddress, 1, input[item..<examples.upperBound].base,
          output[item..<examples.upperBound].base)
      }
    }
  }

  func columns(_ columns: Range<Int>, of matrix: Matrix, _ examples: Range<Int>) -> Matrix {
    Matrix(
      matrix.base + examples.lowerBound * matrix.stride + columns.lowerBound, rows: examples.count,
      columns: columns.count, stride: matrix.stride)
  }

  /// Predicts the clean targets of a group: from `a.noised`, `a.start` and `a.scalars` to `a.prediction`.
  func forward(_ weights: UnsafePointer<Float>, _ a: Activations, _ examples: Range<Int>) {
    begin(a, examples)
    predict(weights, a, examples)
    restore(a.ordered.prediction, to: a.prediction, examples)
  }

  /// Brings `a.noised` and `a.start` into the order of their tokens.
  func begin(_ a: Activations, _ examples: Range<Int>) {
    order(a.noised, to: a.ordered.noised, examples)
    order(a.start, to: a.ordered.start, examples)
    link(a, examples)
  }

  /// Likewise predicts, all in the order of tokens: from `a.ordered.noised` to `a.ordered.prediction`, any number of times
  /// once this has begun.
  func predict(_ weights: UnsafePointer<Float>, _ a: Activations, _ examples: Range<Int>) {
    let (layout, width, count) = (shape.weights, shape.width, shape.tokens.count)
    let weights = UnsafeMutablePointer(mutating: weights)
    let rows = rows(examples)
    for input in shape.tokens.inputs {
      token(input.token, of: count, in: a.encoded, examples).setProduct(
        of: source(input, a, examples), by: matrix(layout.encoders[input.encoder], weights), .transposed,
        adds: input.adds)
    }
    functions.norm(
      rows.count, width, a.encoded[rows].base, weights + layout.encoderNorm.gain,
      weights + layout.encoderNorm.bias, weights + layout.positions, count, shape.tokens.positions,
      a.input[rows].base,
      a.encoderStatistics + 2 * rows.lowerBound)
    var input = a.input
    for (layer, (block, activations)) in zip(layout.blocks, a.blocks).enumerated() {
      forward(block, weights, input, activations, a, examples, passing: shape.passed(by: layer))
      input = activations.output
    }
    let decoded = shape.tokens.outputs.count
    let last = self.rows(examples, of: decoded)
    functions.norm(
      last.count, width, input[last].base, weights + layout.finalNorm.gain, weights + layout.finalNorm.bias,
      nil, 1, nil, a.final[last].base, a.finalStatistics + 2 * last.lowerBound)
    for output in shape.tokens.outputs {
      columns(output.columns, of: a.ordered.prediction, examples).setProduct(
        of: token(output.token, of: decoded, in: a.final, examples),
        by: matrix(layout.decoders[output.decoder], weights), .transposed)
    }
    let predicted = a.ordered.prediction.base + examples.lowerBound * shape.parameterCount
    functions.blend(
      examples.count * shape.parameterCount, 1, predicted, 1,
      a.ordered.start.base + examples.lowerBound * shape.parameterCount, predicted)
  }

  private func forward(
    _ block: WeightLayout.Block, _ weights: UnsafeMutablePointer<Float>, _ input: Matrix,
    _ b: Activations.Block,
    _ a: Activations, _ examples: Range<Int>, passing passed: Int
  ) {
    let width = shape.width
    let (all, rows) = (rows(examples), rows(examples, of: passed))
    func multiply(_ out: Matrix, _ x: Matrix, _ layer: WeightLayout.Linear) {
      out.setProduct(of: x, by: matrix(layer.weight, weights), .transposed)
    }
    func normalize(
      _ x: Matrix, _ norm: WeightLayout.Norm, _ y: Matrix, _ statistics: UnsafeMutablePointer<Float>
    ) {
      functions.norm(
        x.rows, width, x.base, weights + norm.gain, weights + norm.bias, nil, 1, nil, y.base, statistics)
    }
    normalize(input[all], block.norm1, b.norm1[all], b.statistics1 + 2 * all.lowerBound)
    multiply(b.qkv[all], b.norm1[all], block.qkv)
    functions.attention(
      examples.count, shape.tokens.count, passed, shape.configuration.heads, shape.depth,
      weights + block.qkv.bias, a.links(examples), b.qkv[all].base,
      b.probabilities + examples.lowerBound * shape.probabilities, b.attention[rows].base,
      scratch(a, examples))
    multiply(b.middle[rows], b.attention[rows], block.projection)
    for stretch in stretches(examples, passing: passed) {
      functions.residual(
        stretch.passed.count, width, input[stretch.all].base, b.middle[stretch.passed].base,
        weights + block.projection.bias, b.middle[stretch.passed].base)
    }
    normalize(b.middle[rows], block.norm2, b.norm2[rows], b.statistics2 + 2 * rows.lowerBound)
    multiply(b.expanded[rows], b.norm2[rows], block.expansion)
    functions.gelu(
      rows.count, 4 * width, weights + block.expansion.bias, b.expanded[rows].base, b.activated[rows].base)
    multiply(b.output[rows], b.activated[rows], block.contraction)
    functions.residual(
      rows.count, width, b.middle[rows].base, b.output[rows].base, weights + block.contraction.bias,
      b.output[rows].base)
  }

  func matrix(_ tensor: WeightLayout.Tensor, _ memory: UnsafeMutablePointer<Float>) -> Matrix {
    Matrix(memory + tensor.offset, rows: tensor.shape[0], columns: tensor.shape[1], stride: tensor.stride)
  }

  /// A group's working memory for attention.
  func scratch(_ a: Activations, _ examples: Range<Int>) -> UnsafeMutablePointer<Float> {
    a.attentionScratch[(examples.lowerBound / shape.group)..<a.attentionScratch.rows].base
  }
}
