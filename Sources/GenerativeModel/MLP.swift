import CKernels

/// The inner layers of a block, of each token by itself: d -> 4 d -> d, with GELU between them.
struct MLP: Sendable {
  let mlpIn: Linear
  let mlpOut: Linear

  /// From `a.norm2` (B queries, d) to `a.output` (B queries, d), which lacks the bias of `mlpOut` yet.
  func forward(_ a: Activations.Block, _ pass: Pass) {
    mlpIn.forward(a.norm2, to: a.mlpIn, pass)
    pass.functions.gelu(
      a.mlpIn.rows, a.mlpIn.columns, pass.weights + mlpIn.bias, a.mlpIn.base, a.gelu.base)
    mlpOut.forward(a.gelu, to: a.output, pass)
  }

  /// From `a.doutput` (B queries, d) to dx, the gradient of `a.norm2` (B queries, d).
  func backward(_ a: Activations.Block, to dx: Matrix, _ pass: Pass) {
    mlpOut.addBiasGradient(a.doutput, pass)
    mlpOut.backward(a.doutput, to: a.dmlpIn, pass)
    pass.functions.gelu_gradient(
      a.dmlpIn.rows, a.dmlpIn.columns, a.mlpIn.base, a.dmlpIn.base, pass.dvectors + mlpIn.bias)
    mlpIn.backward(a.dmlpIn, to: dx, pass)
  }
}
