/// A transformer block: residual = x + attention(norm1(x)), output = residual + mlp(norm2(residual)).
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
      pass.add(x[rows.all], attention.projection.bias, to: a.residual[rows.passed])
    }
    norm2.forward(a.residual, to: a.norm2, a.statistics2, pass)
    mlp.forward(a, pass)
    pass.add(a.residual, mlp.mlpOut.bias, to: a.output)
  }

  /// From `a.doutput` (B queries, d) to dx (B T, d).
  func backward(_ x: Matrix, _ a: Activations.Block, to dx: Matrix, _ pass: Pass) {
    let dnorm1 = pass.group.scratch
    let dnorm2 = dnorm1[0..<a.norm2.rows]
    mlp.backward(a, to: dnorm2, pass)
    norm2.backward(
      dnorm2, x: a.residual, a.statistics2, residual: a.doutput, to: a.dresidual, pass)
    attention.backward(a, to: dnorm1, pass)
    func norm1Backward(_ rows: Range<Int>, residual: Matrix?) {
      norm1.backward(
        dnorm1[rows], x: x[rows], a.statistics1[rows], residual: residual, to: dx[rows], pass)
    }
    for rows in pass.rows(queries: a.queries) {
      norm1Backward(rows.all, residual: a.dresidual[rows.passed])
      norm1Backward(rows.rest, residual: nil)
    }
  }

  /// The terms of the gradients of all matrices.
  func terms(_ a: Activations.Block) -> [WeightGradient.Terms] {
    [
      (mlp.mlpOut.weight, [(a.doutput, a.gelu)]), (mlp.mlpIn.weight, [(a.dmlpIn, a.norm2)]),
      (attention.projection.weight, [(a.dresidual, a.attention)]),
      (attention.qkv.weight, [(a.dqkv, a.norm1)]),
    ]
  }
}
