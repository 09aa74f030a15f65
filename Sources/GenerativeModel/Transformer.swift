package import CKernels
import PairStream
package import VectorKernels

/// G.pt's forward and backward passes over flat buffers (reference-system.md, section 6).
///
/// Examples are computed in groups, each by one thread, from the embedding to the head and back. The gradients of
/// vectors are summed up group by group; those of matrices are products over all examples and follow when all groups
/// are done. In shapes, B is the examples of a group, T the tokens of an example, C those that are decoded, d a token's
/// floats and P a network's parameters.
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

  /// From the gradient of `group.parameters.x0` to those of all activations, of a group whose forward pass is done.
  ///
  /// - Parameter vectors: the gradients of all vectors among the weights, (``WeightLayout/vectorCount``), of this group
  ///   alone; added to.
  package func backward(
    _ weights: UnsafePointer<Float>, _ group: Activations, vectors: UnsafeMutablePointer<Float>
  ) {
    guard let d = group.gradients else { preconditionFailure("these activations keep no gradients") }
    let (layout, pass) = (shape.weights, pass(weights, group))
    order(d.x0, to: d.x0InTokenOrder)
    let inputs = [group.input] + group.blocks.map(\.output)
    let dinputs = [d.input] + d.blocks.map(\.output)
    let last = layout.blocks.count
    layout.head.backward(x: inputs[last], d, to: dinputs[last], pass, vectors)
    for index in layout.blocks.indices.reversed() {
      layout.blocks[index].backward(
        x: inputs[index], group.blocks[index], d.blocks[index], to: dinputs[index], scratch: d.scratch, pass,
        vectors)
    }
    layout.embedding.backward(d, pass, vectors)
  }

  /// The gradients of all matrices, to be computed once all groups are done, in parts that threads may share.
  ///
  /// - Parameters:
  ///   - all: the examples of all groups.
  ///   - gradient: of all weights, (``WeightLayout/count``).
  package func weightGradients(
    _ all: Activations, gradient: UnsafeMutablePointer<Float>
  ) -> [WeightGradient] {
    guard let d = all.gradients else { preconditionFailure("these activations keep no gradients") }
    let layout = shape.weights
    var products = zip(layout.blocks, zip(all.blocks, d.blocks)).flatMap { $0.products($1.0, $1.1) }
    products += layout.embedding.products(all, d) + layout.head.products(all, d)
    return products.flatMap { weight, products in
      WeightGradient(gradient: weight.matrix(in: gradient), products: products).parts()
    }
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
    let (layout, pass) = (shape.weights, pass(weights, group))
    layout.embedding.forward(pass)
    var x = group.input
    for (block, a) in zip(layout.blocks, group.blocks) {
      block.forward(x, a, pass)
      x = a.output
    }
    layout.head.forward(x, pass)
  }

  private func pass(_ weights: UnsafePointer<Float>, _ group: Activations) -> Pass {
    Pass(functions: functions, weights: UnsafeMutablePointer(mutating: weights), group: group)
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
      let matrix = links[shape.rows(example..<(example + 1))]
      for link in shape.tokens.links {
        let part = link.part
        for output in 0..<part.rows {
          for input in 0..<part.columns {
            let weights = start + part.start + (output * part.columns + input) * part.block
            var sum: Float = 0
            for i in 0..<part.block { sum += weights[i] }
            matrix.base[(link.outputs + output) * matrix.stride + link.inputs + input] = sum
            matrix.base[(link.inputs + input) * matrix.stride + link.outputs + output] = sum
          }
        }
      }
    }
  }
}

/// What all layers need to compute a group: kernels, weights, and the group's activations.
struct Pass {
  let functions: ck_transformer
  /// (``WeightLayout/count``); only read.
  let weights: UnsafeMutablePointer<Float>
  let group: Activations

  /// y (N, d) += x (N, d) + bias (d), whose offset among the weights is given.
  func add(_ x: Matrix, _ bias: Int, to y: Matrix) {
    functions.residual(y.rows, y.columns, x.base, y.base, weights + bias, y.base)
  }

  /// Rows among all tokens of the group: those of the first `queries` tokens of an example, in stretches as long as can
  /// be, the same ones among those tokens alone, and the rest of the example's.
  func rows(queries: Int) -> [(all: Range<Int>, queries: Range<Int>, rest: Range<Int>)] {
    let count = group.shape.tokens.count
    if queries == count {
      let rows = 0..<group.examples * count
      return [(rows, rows, rows.upperBound..<rows.upperBound)]
    }
    return (0..<group.examples).map { example in
      let (first, end) = (example * count, (example + 1) * count)
      return (
        first..<first + queries, example * queries..<(example + 1) * queries, first + queries..<end
      )
    }
  }
}
