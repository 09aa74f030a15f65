import CKernels

extension Transformer {
  /// From `a.predictionGradient` back to `a.encodedGradient`, of a group whose forward pass is done.
  ///
  /// - Parameter vectors: the gradients of all vectors among the weights, (``WeightLayout/vectorCount``), of this group
  ///   alone; added to.
  func backward(
    _ weights: UnsafePointer<Float>, _ a: Activations, _ examples: Range<Int>,
    vectors: UnsafeMutablePointer<Float>
  ) {
    guard let predictionGradient = a.predictionGradient, let orderedGradient = a.ordered.predictionGradient,
      let encodedGradient = a.encodedGradient, let finalGradient = a.finalGradient, let last = a.blocks.last,
      let lastGradient = last.outputGradient
    else { preconditionFailure("these activations keep no gradients") }
    let (layout, width) = (shape.weights, shape.width)
    let weights = UnsafeMutablePointer(mutating: weights)
    let rows = rows(examples)
    finalGradient[rows].base.update(repeating: 0, count: rows.count * finalGradient.stride)
    order(predictionGradient, to: orderedGradient, examples)
    for output in shape.tokens.outputs {
      token(output.token, of: finalGradient, examples).setProduct(
        of: columns(output.columns, of: orderedGradient, examples),
        by: matrix(layout.decoders[output.decoder], weights))
    }
    functions.norm_gradient(
      rows.count, width, last.output[rows].base, weights + layout.finalNorm.gain,
      a.finalStatistics + 2 * rows.lowerBound, finalGradient[rows].base, nil, lastGradient[rows].base,
      vectors + layout.finalNorm.gain, vectors + layout.finalNorm.bias)
    for number in a.blocks.indices.reversed() {
      let isFirst = number == 0
      // What the first block got is done with when its gradient comes, so that this takes its place.
      backward(
        layout.blocks[number], weights, input: isFirst ? a.input : a.blocks[number - 1].output,
        a.blocks[number], inputGradient: isFirst ? finalGradient : a.blocks[number - 1].outputGradient, a,
        examples, vectors)
    }
    functions.column_sums(
      rows.count, width, shape.tokens.count, shape.tokens.positions, finalGradient[rows].base,
      vectors + layout.positions)
    functions.norm_gradient(
      rows.count, width, a.encoded[rows].base, weights + layout.encoderNorm.gain,
      a.encoderStatistics + 2 * rows.lowerBound, finalGradient[rows].base, nil, encodedGradient[rows].base,
      vectors + layout.encoderNorm.gain, vectors + layout.encoderNorm.bias)
  }

  private func backward(
    _ block: WeightLayout.Block, _ weights: UnsafeMutablePointer<Float>, input: Matrix,
    _ b: Activations.Block,
    inputGradient: Matrix?, _ a: Activations, _ examples: Range<Int>, _ vectors: UnsafeMutablePointer<Float>
  ) {
    guard let qkv = b.qkvGradient, let middle = b.middleGradient, let expanded = b.expandedGradient,
      let output = b.outputGradient, let inputGradient
    else { preconditionFailure("these activations keep no gradients") }
    let (width, passing) = (shape.width, a.passing)
    let rows = rows(examples)
    func multiply(_ out: Matrix, _ gradient: Matrix, _ layer: WeightLayout.Linear) {
      out[rows].setProduct(of: gradient[rows], by: matrix(layer.weight, weights))
    }
    functions.column_sums(rows.count, width, 1, nil, output[rows].base, vectors + block.contraction.bias)
    multiply(expanded, output, block.contraction)
    functions.gelu_gradient(
      rows.count, 4 * width, b.expanded[rows].base, expanded[rows].base, vectors + block.expansion.bias)
    multiply(passing, expanded, block.expansion)
    functions.norm_gradient(
      rows.count, width, b.middle[rows].base, weights + block.norm2.gain, b.statistics2 + 2 * rows.lowerBound,
      passing[rows].base, output[rows].base, middle[rows].base, vectors + block.norm2.gain,
      vectors + block.norm2.bias)
    functions.column_sums(rows.count, width, 1, nil, middle[rows].base, vectors + block.projection.bias)
    multiply(passing, middle, block.projection)
    functions.attention_gradient(
      examples.count, shape.tokens.count, shape.configuration.heads, shape.depth, b.qkv[rows].base,
      b.probabilities + examples.lowerBound * shape.probabilities, a.links(examples), passing[rows].base,
      qkv[rows].base,
      vectors + block.qkv.bias, scratch(a, examples))
    multiply(passing, qkv, block.qkv)
    functions.norm_gradient(
      rows.count, width, input[rows].base, weights + block.norm1.gain, b.statistics1 + 2 * rows.lowerBound,
      passing[rows].base, middle[rows].base, inputGradient[rows].base, vectors + block.norm1.gain,
      vectors + block.norm1.bias)
  }

  /// The sum of products that a matrix's gradient is, or some rows of it.
  struct MatrixGradient {
    /// Of examples or their tokens: (those, rows of the gradient), and (those, columns of the gradient).
    typealias Factors = (outputGradient: Matrix, input: Matrix)
    let gradient: Matrix
    let products: [Factors]

    func compute(adds: Bool) {
      for (number, (outputGradient, input)) in products.enumerated() {
        gradient.setProduct(of: outputGradient, .transposed, by: input, adds: adds || number > 0)
      }
    }
  }

  /// What is to be computed once all groups are done, in parts that threads may share.
  ///
  /// - Parameter gradient: of all weights, (``WeightLayout/count``).
  func matrixGradients(
    _ a: Activations, examples: Int, gradient: UnsafeMutablePointer<Float>
  ) -> [MatrixGradient] {
    guard let predictionGradient = a.ordered.predictionGradient, let encodedGradient = a.encodedGradient
    else {
      preconditionFailure("these activations keep no gradients")
    }
    let (layout, all) = (shape.weights, 0..<examples)
    let rows = rows(all)
    var gradients: [MatrixGradient] = []
    func add(_ weight: WeightLayout.Tensor, _ products: [MatrixGradient.Factors]) {
      let whole = matrix(weight, gradient)
      // About as much work each, so that no thread waits long for the last one.
      let terms = products.reduce(0) { $0 + $1.input.rows }
      let height = max(128, (1 << 25) / max(1, whole.columns * terms) / 64 * 64)
      for first in stride(from: 0, to: whole.rows, by: height) {
        let part = first..<min(whole.rows, first + height)
        gradients.append(
          MatrixGradient(
            gradient: whole[part],
            products: products.map { outputGradient, input in
              let columns = Matrix(
                outputGradient.base + part.lowerBound, rows: outputGradient.rows, columns: part.count,
                stride: outputGradient.stride)
              return (columns, input)
            }))
      }
    }
    for (block, b) in zip(layout.blocks, a.blocks) {
      guard let qkv = b.qkvGradient, let middle = b.middleGradient, let expanded = b.expandedGradient,
        let output = b.outputGradient
      else { preconditionFailure("these activations keep no gradients") }
      add(block.contraction.weight, [(output[rows], b.activated[rows])])
      add(block.expansion.weight, [(expanded[rows], b.norm2[rows])])
      add(block.projection.weight, [(middle[rows], b.attention[rows])])
      add(block.qkv.weight, [(qkv[rows], b.norm1[rows])])
    }
    for (number, encoder) in layout.encoders.enumerated() {
      let inputs = shape.tokens.inputs.filter { $0.encoder == number }
      add(encoder, inputs.map { (token($0.token, of: encodedGradient, all), source($0, a, all)) })
    }
    for (number, decoder) in layout.decoders.enumerated() {
      let outputs = shape.tokens.outputs.filter { $0.decoder == number }
      add(
        decoder,
        outputs.map { (columns($0.columns, of: predictionGradient, all), token($0.token, of: a.final, all)) })
    }
    return gradients
  }
}
