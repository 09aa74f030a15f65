import CKernels

/// The first layer: an encoder for each stretch of the networks and each scalar, a norm, and learned positions.
struct TokenEmbedding: Sendable {
  /// Of each kind of token, for xT and for the start, and of each scalar: (d, its length). No bias.
  let encoders: [WeightLayout.Tensor]
  let norm: LayerNorm
  /// The offset of the positions (rows of them, d) among the weights.
  let positions: Int

  /// From `group.tokens` and `group.scalars` to `group.input` (B T, d).
  func forward(_ pass: Pass) {
    let (group, tokens) = (pass.group, pass.group.shape.tokens)
    for input in tokens.inputs {
      group.encoded.token(input.token, of: tokens.count).setProduct(
        of: group.source(of: input), by: encoders[input.encoder].matrix(in: pass.weights), .transposed,
        accumulate: input.accumulates)
    }
    norm.forward(
      group.encoded, to: group.input, group.encoderStatistics, positions: (positions, tokens.positions), pass)
  }

  /// From `d.input` (B T, d) to `d.encoded` (B T, d).
  func backward(_ d: Activations.Gradients, _ pass: Pass, _ vectors: UnsafeMutablePointer<Float>) {
    let (group, tokens) = (pass.group, pass.group.shape.tokens)
    pass.functions.column_sums(
      d.input.rows, d.input.columns, tokens.count, tokens.positions, d.input.base, vectors + positions)
    norm.backward(d.input, x: group.encoded, group.encoderStatistics, to: d.encoded, pass, vectors)
  }

  /// The terms of the gradients of all encoders.
  func products(
    _ group: Activations, _ d: Activations.Gradients
  ) -> [(WeightLayout.Tensor, [WeightGradient.Factors])] {
    encoders.enumerated().map { index, encoder in
      let inputs = group.shape.tokens.inputs.filter { $0.encoder == index }
      return (
        encoder,
        inputs.map { (d.encoded.token($0.token, of: group.shape.tokens.count), group.source(of: $0)) }
      )
    }
  }
}

extension Activations {
  /// What an encoder reads: (B, its length).
  fileprivate func source(of input: TokenLayout.Input) -> Matrix {
    switch input.source {
    case .xT: tokens.xT[columns: input.columns]
    case .start: tokens.start[columns: input.columns]
    case .scalars: scalars[columns: input.columns]
    }
  }
}
