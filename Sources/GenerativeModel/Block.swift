/// A transformer block: residual = x + attention(norm1(x)), output = residual + mlp(norm2(residual)).
///
/// The last block passes only those tokens on that are decoded, which come first: `queries` of an example's T.
struct Block: Sendable {
  let norm1: LayerNorm
  let attention: Attention
  let norm2: LayerNorm
  let mlp: MLP

  /// From x (B T, d) to `a.output` (B queries, d).
  func forward(_ x: Matrix, _ a: Activations.Block, _ pass: Pass) {
    norm1.forward(x, to: a.norm1, a.statistics1, pass)
    attention.forward(a, pass)
    for rows in pass.rows(queries: a.queries) {
      pass.add(x[rows.all], attention.projection.bias, to: a.residual[rows.queries])
    }
    norm2.forward(a.residual, to: a.norm2, a.statistics2, pass)
    mlp.forward(a, pass)
    pass.add(a.residual, mlp.mlpOut.bias, to: a.output)
  }

  /// From `d.output` (B queries, d) to dx (B T, d).
  ///
  /// - Parameter scratch: (B T, d), for the gradients of what the norms give.
  func backward(
    x: Matrix, _ a: Activations.Block, _ d: Activations.Block.Gradients, to dx: Matrix, scratch: Matrix,
    _ pass: Pass, _ vectors: UnsafeMutablePointer<Float>
  ) {
    let dnorm2 = scratch[0..<a.residual.rows]
    mlp.backward(a, d, to: dnorm2, pass, vectors)
    norm2.backward(
      dnorm2, x: a.residual, a.statistics2, residual: d.output, to: d.residual, pass, vectors)
    attention.backward(a, d, to: scratch, pass, vectors)
    func norm1Backward(_ rows: Range<Int>, residual: Matrix?) {
      norm1.backward(
        scratch[rows], x: x[rows], a.statistics1[rows], residual: residual, to: dx[rows], pass, vectors)
    }
    for rows in pass.rows(queries: a.queries) {
      norm1Backward(rows.all, residual: d.residual[rows.queries])
      norm1Backward(rows.rest, residual: nil)
    }
  }

  /// The terms of the gradients of all matrices.
  func products(
    _ a: Activations.Block, _ d: Activations.Block.Gradients
  ) -> [(WeightLayout.Tensor, [WeightGradient.Factors])] {
    [
      (mlp.mlpOut.weight, [(d.output, a.gelu)]), (mlp.mlpIn.weight, [(d.mlpIn, a.norm2)]),
      (attention.projection.weight, [(d.residual, a.attention)]),
      (attention.qkv.weight, [(d.qkv, a.norm1)]),
    ]
  }
}
