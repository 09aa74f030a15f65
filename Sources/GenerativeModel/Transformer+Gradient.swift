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
    let decoded = shape.tokens.outputs.count
    let (rows, kept) = (rows(examples), rows(examples, of: decoded))
    order(predictionGradient, to: orderedGradient, examples)
    for output in shape.tokens.outputs {
      token(output.token, of: decoded, in: finalGradient[rows], 0..<examples.count).setProduct(
        of: columns(output.columns, of: orderedGradient, examples),
        by: matrix(layout.decoders[output.decoder], weights))
    }
    functions.norm_gradient(
      kept.count, width, last.output[kept].base, weights + layout.finalNorm.gain,
      a.finalStatistics + 2 * kept.lowerBound, finalGradient[rows].base, nil, lastGradient[kept].base,
      vectors + layout.finalNorm.gain, vectors + layout.finalNorm.bias)
    for number in a.blocks.indices.reversed() {
      let isFirst = number == 0
      // What the first block got is done with when its gradient comes, so that this takes its place.
      backward(
        layout.blocks[number], weights, input: isFirst ? a.input : a.blocks[number - 1].output,
        a.blocks[number], inputGradient: isFirst ? finalGradient : a.blocks[number - 1].outputGradient, a,
        examples, passing: shape.passed(by: number), vectors)
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
    inputGradient: Matrix?, _ a: Activations, _ examples: Range<Int>, passing passed: Int,
    _ vectors: UnsafeMutablePointer<Float>
  ) {
    guard let qkv = b.qkvGradient, let middle = b.middleGradient, let expanded = b.expandedGradient,
      let output = b.outputGradient, let inputGradient
    else { preconditionFailure("these activations keep no gradients") }
    let width = shape.width
    let (all, rows) = (rows(examples), rows(examples, of: passed))
    let passing = a.passing[all]
    // Among the group's own rows, as other groups use theirs at the same time.
    let kept = passing[0..<rows.count]
    func multiply(_ out: Matrix, _ gradient: Matrix, _ layer: WeightLayout.Linear) {
      out.setProduct(of: gradient, by: matrix(layer.weight, weights))
    }
    functions.column_sums(rows.count, width, 1, nil, output[rows].base, vectors + block.contraction.bias)
    multiply(expanded[rows], output[rows], block.contraction)
    functions.gelu_gradient(
      rows.count, 4 * width, b.expanded[rows].base, expanded[rows].base, vectors + block.expansion.bias)
    multiply(kept, expanded[rows], block.expansion)
    functions.norm_gradient(
      rows.count, width, b.middle[rows].base, weights + block.norm2.gain, b.statistics2 + 2 * rows.lowerBound,
      kept.base, output[rows].base, middle[rows].base, vectors + block.norm2.gain,
      vectors + block.norm2.bias)
    functions.column_sums(rows.count, width, 1, nil, middle[rows].base, vectors + block.projection.bias)
    multiply(kept, middle[rows], block.projection)
    functions.attention_gradient(
      examples.count, shape.tokens.count, passed, shape.configuration.heads, shape.depth, b.qkv[all].base,
      b.probabilities + examples.lowerBound * shape.probabilities, a.links(examples), kept.base,
      qkv[all].base, vectors + block.qkv.bias, scratch(a, examples))
    multiply(passing, qkv[all], block.qkv)
    func normGradient(_ rows: Range<Int>, base: UnsafePointer<Float>?) {
      functions.norm_gradient(
        rows.count, width, input[rows].base, weights + block.norm1.gain, b.statistics1 + 2 * rows.lowerBound,
        a.passing[rows].base, base, inputGradient[rows].base, vectors + block.norm1.gain,
        vectors + block.norm1.bias)
    }
    for stretch in stretches(examples, passing: passed) {
      normGradient(stretch.all, base: middle[stretch.passed].base)
      if passed < shape.tokens.count {
        normGradient(stretch.all.upperBound..<stretch.all.lowerBound + shape.tokens.count, base: nil)
      }
    }
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
    let decoded = shape.tokens.outputs.count
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
    for (layer, (block, b)) in zip(layout.blocks, a.blocks).enumerated() {
      let passed = self.rows(all, of: shape.passed(by: layer))
      guard let qkv = b.qkvGradient, let middle = b.middleGradient, let expanded = b.expandedGradient,
        let output = b.outputGradient
      else { preconditionFailure("these activations keep no gradients") }
      add(block.contraction.weight, [(output[passed], b.activated[passed])])
      add(block.expansion.weight, [(expanded[passed], b.norm2[passed])])
      add(block.projection.weight, [(middle[passed], b.attention[passed])])
      add(block.qkv.weight, [(qkv[rows], b.norm1[rows])])
    }
    for (number, encoder) in layout.encoders.enumerated() {
      let inputs = shape.tokens.inputs.filter { $0.encoder == number }
      add(
        encoder,
        inputs.map {
          (token($0.token, of: shape.tokens.count, in: encodedGradient, all), source($0, a, all))
        })
    }
    for (number, decoder) in layout.decoders.enumerated() {
      let outputs = shape.tokens.outputs.filter { $0.decoder == number }
      add(
        decoder,
        outputs.map {
          (columns($0.columns, of: predictionGradient, all), token($0.token, of: decoded, in: a.final, all))
        })
    }
    return gradients
  }
}
