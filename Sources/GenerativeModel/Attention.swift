import CKernels

/// Attention of each example's first tokens, its queries, to all its T tokens.
struct Attention: Sendable {
  /// (3 d, d).
  let qkv: Linear
  /// (d, d).
  let projection: Linear

  /// From `a.norm1` (B T, d) to `a.residual` (B queries, d), which lacks the projection's bias yet.
  func forward(_ a: Activations.Block, _ pass: Pass) {
    let (group, shape) = (pass.group, pass.group.shape)
    qkv.forward(a.norm1, to: a.qkv, pass)
    pass.functions.attention(
      group.examples, shape.tokens.count, a.queries, shape.configuration.heads, shape.depth,
      pass.weights + qkv.bias, group.links?.base, a.qkv.base, a.probabilities.base, a.attention.base,
      group.attentionScratch.base)
    projection.forward(a.attention, to: a.residual, pass)
  }

  /// From `d.residual` (B queries, d) to `dx`, the gradient of `a.norm1` (B T, d).
  func backward(
    _ a: Activations.Block, _ d: Activations.Block.Gradients, to dx: Matrix, _ pass: Pass,
    _ vectors: UnsafeMutablePointer<Float>
  ) {
    let (group, shape) = (pass.group, pass.group.shape)
    // The projection's input has its gradient where that of the first rows of `dx` will be.
    let attention = dx[0..<d.residual.rows]
    projection.addBiasGradient(d.residual, pass, vectors)
    projection.backward(d.residual, to: attention, pass)
    pass.functions.attention_gradient(
      group.examples, shape.tokens.count, a.queries, shape.configuration.heads, shape.depth, a.qkv.base,
      a.probabilities.base, group.links?.base, attention.base, d.qkv.base, vectors + qkv.bias,
      group.attentionScratch.base)
    qkv.backward(d.qkv, to: dx, pass)
  }
}
