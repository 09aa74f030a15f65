import CKernels

/// The last layer: a norm, and a decoder for each kind of token, which predicts how x0 differs from the start.
struct Head: Sendable {
  let norm: LayerNorm
  /// Of each kind of token: (its length, d). No bias.
  let decoders: [WeightLayout.Tensor]

  /// From x (B C, d), the tokens that are decoded, to `group.tokens.x0` (B, P).
  func forward(_ x: Matrix, _ pass: Pass) {
    let (group, outputs) = (pass.group, pass.group.shape.tokens.outputs)
    norm.forward(x, to: group.final, group.finalStatistics, pass)
    let (x0, start) = (group.tokens.x0, group.tokens.start)
    for output in outputs {
      x0[columns: output.columns].setProduct(
        of: group.final.token(output.token, of: outputs.count),
        by: decoders[output.decoder].matrix(in: pass.weights), .transposed)
    }
    pass.functions.axpby(x0.rows * x0.columns, 1, x0.base, 1, start.base, x0.base)
  }

  /// From `d.x0InTokenOrder` (B, P) to dx (B C, d), by way of `d.final` (B C, d).
  func backward(
    x: Matrix, _ d: Activations.Gradients, to dx: Matrix, _ pass: Pass,
    _ vectors: UnsafeMutablePointer<Float>
  ) {
    let outputs = pass.group.shape.tokens.outputs
    for output in outputs {
      d.final.token(output.token, of: outputs.count).setProduct(
        of: d.x0InTokenOrder[columns: output.columns],
        by: decoders[output.decoder].matrix(in: pass.weights))
    }
    norm.backward(d.final, x: x, pass.group.finalStatistics, to: dx, pass, vectors)
  }

  /// The terms of the gradients of all decoders.
  func products(
    _ group: Activations, _ d: Activations.Gradients
  ) -> [(WeightLayout.Tensor, [WeightGradient.Factors])] {
    let outputs = group.shape.tokens.outputs
    return decoders.enumerated().map { index, decoder in
      (
        decoder,
        outputs.filter { $0.decoder == index }.map {
          (d.x0InTokenOrder[columns: $0.columns], group.final.token($0.token, of: outputs.count))
        }
      )
    }
  }
}
