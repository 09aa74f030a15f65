import CKernels

/// The first layer: encoders of networks and scalars, a norm, and learned positions.
struct TokenEmbedding: Sendable {
  /// One for each kind of token of xT, for each kind of the start, and for each scalar, without bias: (d, its length).
  let encoders: [WeightLayout.Tensor]
  let norm: LayerNorm
  /// The offset of the positions (rows of them, d) among the weights.
  let positions: Int

  /// From `group.tokens` and `group.scalars` to `group.input` (B T, d).
  func forward(_ pass: Pass) {
    let (group, tokens) = (pass.group, pass.shape.tokens)
    for input in tokens.inputs {
      group.encoded.token(input.token, of: tokens.count).setProduct(
        of: group.source(of: input), by: encoders[input.encoder].matrix(in: pass.weights), .transposed,
        accumulate: input.accumulates)
    }
    norm.forward(
      group.encoded, to: group.input, group.encoderStatistics, positions: (positions, tokens.positions), pass)
  }

  /// From `group.dinput` (B T, d) to `group.dencoded` (B T, d).
  func backward(_ pass: Pass) {
    let (group, tokens) = (pass.group, pass.shape.tokens)
    pass.functions.column_sums(
      group.dinput.rows, group.dinput.columns, tokens.count, tokens.positions, group.dinput.base,
      pass.dvectors + positions)
    norm.backward(group.dinput, x: group.encoded, group.encoderStatistics, to: group.dencoded, pass)
  }

  /// The terms of the gradients of all encoders.
  func terms(_ group: Activations, _ tokens: TokenLayout) -> [WeightGradient.Terms] {
    encoders.enumerated().map { index, encoder in
      let inputs = tokens.inputs.filter { $0.encoder == index }
      return (
        encoder, inputs.map { (group.dencoded.token($0.token, of: tokens.count), group.source(of: $0)) }
      )
    }
  }
}
