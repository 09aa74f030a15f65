import NetworkSymmetry
package import CKernels
package import VectorKernels

/// G.pt's forward and backward passes over flat buffers (Schemas/reference.md, section 6).
///
/// Examples are computed in groups, each by one thread, from the embedding to the head and back. The gradients of
/// vectors are summed up group by group; those of matrices are products over all examples and follow when all groups
/// are done. In shapes, B is the examples of a group, T the tokens of an example, d the floats of a token, C the tokens
/// that are decoded and P the parameters of a network.
package struct Transformer: @unchecked Sendable {
  // Sendable because the tables of kernels are constants of the program.
  package let shape: TransformerShape
  package let kernels: Kernels
  package let functions: ck_transformer

  package init(shape: TransformerShape, kernels: Kernels) {
    self.shape = shape
    self.kernels = kernels
    functions = kernels.functions.transformer.pointee
  }

  /// Predicts x0, the clean targets, of a group: from `group.parameters` and `group.scalars` to `group.parameters.x0`.
  package func forward(_ weights: UnsafePointer<Float>, _ group: Activations) {
    begin(group)
    order(group.parameters.xT, to: group.tokens.xT)
    predict(weights, group)
    restore(group.tokens.x0, to: group.parameters.x0)
  }

  /// From `group.dx0` (B, P) back to the gradients of the embedding, of a group whose forward pass is done. Adds the
  /// gradients of all vectors among the weights to the group's.
  package func backward(_ weights: UnsafePointer<Float>, _ group: Activations) {
    precondition(group.dx0.rows == group.examples, "these activations keep no gradients")
    let (layers, pass) = (shape.weights, pass(weights, group))
    let inputs = [group.input] + group.blocks.map(\.output)
    let dinputs = [group.dinput] + group.blocks.map(\.doutput)
    let last = layers.blocks.count
    order(group.dx0, to: group.dx0OfTokens)
    layers.head.backward(inputs[last], to: dinputs[last], pass)
    for (index, block) in layers.blocks.enumerated().reversed() {
      block.backward(inputs[index], group.blocks[index], to: dinputs[index], pass)
    }
    layers.embedding.backward(pass)
  }

  /// The gradients of all matrices, to be computed once all groups are done, in parts that threads may share.
  ///
  /// - Parameters:
  ///   - all: the activations of all groups.
  ///   - gradient: of all weights, (``WeightLayout/count``).
  package func weightGradients(
    _ all: Activations, gradient: UnsafeMutablePointer<Float>
  ) -> [WeightGradient] {
    let (layers, tokens) = (shape.weights, shape.tokens)
    let terms =
      zip(layers.blocks, all.blocks).flatMap { $0.terms($1) } + layers.embedding.terms(all, tokens)
      + layers.head.terms(all, tokens)
    return terms.flatMap { WeightGradient(gradient: $0.matrix(in: gradient), terms: $1).parts() }
  }

  /// Turns noise into samples of a group, in `group.parameters.xT`, from starts and metrics that are there already.
  ///
  /// - Parameter noise: writes the standard normal noise (P) of an example; pass 0 begins with it, and the transitions
  ///   are passes 1, 2, …
  package func denoise(
    _ weights: UnsafePointer<Float>, _ group: Activations, _ embedding: ScalarEmbedding,
    by transitions: [Diffusion.Transition], isCancelled: () -> Bool,
    noise: (_ pass: Int, _ example: Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let (length, xT, x0) = (shape.parameterCount, group.tokens.xT, group.tokens.x0)
    let buffer = AlignedBuffer<Float>(count: 2 * length)
    defer { withExtendedLifetime(buffer) {} }
    let drawn = Matrix(buffer.base, rows: 1, columns: length)
    let ordered = shape.tokens.order == nil ? drawn : Matrix(buffer.base + length, rows: 1, columns: length)
    begin(group)
    for example in 0..<group.examples { noise(0, example, group.parameters.xT.row(example)) }
    order(group.parameters.xT, to: xT)
    for (pass, transition) in transitions.enumerated() {
      if isCancelled() { return }
      for example in 0..<group.examples {
        embedding.embed(timestep: transition.timestep, to: group.scalars.row(example))
      }
      predict(weights, group)
      functions.axpby(
        group.examples * length, transition.x0, x0.base, transition.xT, xT.base, xT.base)
      for example in 0..<group.examples where transition.noise > 0 {
        noise(pass + 1, example, drawn.base)
        order(drawn, to: ordered)
        functions.axpby(
          length, 1, xT.row(example), transition.noise, ordered.base, xT.row(example))
      }
    }
    restore(xT, to: group.parameters.xT)
  }

  /// Brings the starts into the order of tokens, and links these.
  private func begin(_ group: Activations) {
    order(group.parameters.start, to: group.tokens.start)
    link(group)
  }

  /// Predicts x0 in the order of tokens, any number of times once the group has begun.
  private func predict(_ weights: UnsafePointer<Float>, _ group: Activations) {
    let (layers, pass) = (shape.weights, pass(weights, group))
    layers.embedding.forward(pass)
    var x = group.input
    for (block, a) in zip(layers.blocks, group.blocks) {
      block.forward(x, a, pass)
      x = a.output
    }
    layers.head.forward(x, pass)
  }

  private func pass(_ weights: UnsafePointer<Float>, _ group: Activations) -> Pass {
    Pass(
      functions: functions, shape: shape, weights: UnsafeMutablePointer(mutating: weights), group: group)
  }

  /// Copies networks (N, P) into the order of their tokens, unless that is their own.
  private func order(_ networks: Matrix, to ordered: Matrix) {
    if let order = shape.tokens.order { permute(networks, by: order, to: ordered) }
  }

  /// Copies networks (N, P) out of the order of their tokens into their own.
  private func restore(_ ordered: Matrix, to networks: Matrix) {
    if let inverse = shape.tokens.inverseOrder { permute(ordered, by: inverse, to: networks) }
  }

  private func permute(_ input: Matrix, by order: [UInt32], to output: Matrix) {
    order.withUnsafeBufferPointer { order in
      for row in 0..<input.rows {
        kernels.functions.permute(
          1, 1, nil, order.count, order.baseAddress, 1, input.row(row), output.row(row))
      }
    }
  }

  /// Writes the start's weights between units down where their tokens attend to each other, both ways.
  private func link(_ group: Activations) {
    guard let links = group.links else { return }
    for example in 0..<group.examples {
      let start = group.parameters.start.row(example)
      let matrix = links.row(example * shape.tokens.count)
      for link in shape.tokens.links {
        let part = link.part
        for output in 0..<part.rows {
          for input in 0..<part.columns {
            let weights = start + part.start + (output * part.columns + input) * part.block
            var sum: Float = 0
            for i in 0..<part.block { sum += weights[i] }
            matrix[(link.outputs + output) * links.stride + link.inputs + input] = sum
            matrix[(link.inputs + input) * links.stride + link.outputs + output] = sum
          }
        }
      }
    }
  }
}

/// What all layers need to compute a group: kernels, sizes, weights, and activations.
struct Pass {
  let functions: ck_transformer
  let shape: TransformerShape
  /// All weights, (``WeightLayout/count``), which are only read.
  let weights: UnsafeMutablePointer<Float>
  let group: Activations
  var dvectors: UnsafeMutablePointer<Float> { group.dvectors }

  /// Adds x (N, d) and a bias (d), whose offset among the weights is given, to y (N, d).
  func add(_ x: Matrix, _ bias: Int, to y: Matrix) {
    functions.residual(y.rows, y.columns, x.base, y.base, weights + bias, y.base)
  }

  /// The rows of each example's first `queries` tokens, as `all` of (B T, …) and as those `passed` of (B queries, …), in
  /// ranges as long as can be; and the `rest` of the example's rows of (B T, …).
  func rows(queries: Int) -> [(all: Range<Int>, passed: Range<Int>, rest: Range<Int>)] {
    let count = shape.tokens.count
    let end = group.examples * count
    if queries == count { return [(0..<end, 0..<end, end..<end)] }
    return (0..<group.examples).map { example in
      let (first, passed) = (example * count, example * queries)
      return (first..<first + queries, passed..<passed + queries, first + queries..<first + count)
    }
  }
}
