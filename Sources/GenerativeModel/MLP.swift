import CKernels

/// The inner layers of a block, of each token by itself: d -> 4 d -> d, with GELU between them.
struct MLP: Sendable {
  /// (4 d, d).
  let mlpIn: Linear
  /// (d, 4 d).
  let mlpOut: Linear

  /// From `a.norm2` (B queries, d) to `a.output` (B queries, d), which lacks the bias of `mlpOut` yet.
  func forward(_ a: Activations.Block, _ pass: Pass) {
    mlpIn.forward(a.norm2, to: a.mlpIn, pass)
    pass.functions.gelu(
      a.mlpIn.rows, a.mlpIn.columns, pass.weights + mlpIn.bias, a.mlpIn.base, a.gelu.base)
    mlpOut.forward(a.gelu, to: a.output, pass)
  }

  /// From `d.output` (B queries, d) to `dx`, the gradient of `a.norm2` (B queries, d).
  func backward(
    _ a: Activations.Block, _ d: Activations.Block.Gradients, to dx: Matrix, _ pass: Pass,
    _ vectors: UnsafeMutablePointer<Float>
  ) {
    mlpOut.addBiasGradient(d.output, pass, vectors)
    mlpOut.backward(d.output, to: d.mlpIn, pass)
    pass.functions.gelu_gradient(
      d.mlpIn.rows, d.mlpIn.columns, a.mlpIn.base, d.mlpIn.base, vectors + mlpIn.bias)
    mlpIn.backward(d.mlpIn, to: dx, pass)
  }
}
