import CKernels

/// The last layer: a norm, and a decoder for each kind of token, which predicts how x0 differs from the start.
struct Head: Sendable {
  let norm: LayerNorm
  /// One for each kind of token, without bias: (its length, d).
  let decoders: [WeightLayout.Tensor]

  /// From x (B C, d) to `group.tokens.x0` (B, P).
  func forward(_ x: Matrix, _ pass: Pass) {
    let (group, outputs) = (pass.group, pass.shape.tokens.outputs)
    let (x0, start) = (group.tokens.x0, group.tokens.start)
    norm.forward(x, to: group.final, group.finalStatistics, pass)
    for output in outputs {
      x0[columns: output.columns].setProduct(
        of: group.final.token(output.token, of: outputs.count),
        by: decoders[output.decoder].matrix(in: pass.weights), .transposed)
    }
    pass.functions.axpby(x0.rows * x0.columns, 1, x0.base, 1, start.base, x0.base)
  }

  /// From `group.dx0OfTokens` (B, P) to dx (B C, d).
  func backward(_ x: Matrix, to dx: Matrix, _ pass: Pass) {
    let (group, outputs) = (pass.group, pass.shape.tokens.outputs)
    for output in outputs {
      group.dfinal.token(output.token, of: outputs.count).setProduct(
        of: group.dx0OfTokens[columns: output.columns],
        by: decoders[output.decoder].matrix(in: pass.weights))
    }
    norm.backward(group.dfinal, x: x, group.finalStatistics, to: dx, pass)
  }

  /// The terms of the gradients of all decoders.
  func terms(_ group: Activations, _ tokens: TokenLayout) -> [WeightGradient.Terms] {
    decoders.enumerated().map { index, decoder in
      let outputs = tokens.outputs.filter { $0.decoder == index }
      return (
        decoder,
        outputs.map {
          (group.dx0OfTokens[columns: $0.columns], group.final.token($0.token, of: tokens.outputs.count))
        }
      )
    }
  }
}
