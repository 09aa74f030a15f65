import CKernels

/// Attention of each example's first tokens, its queries, to all its T tokens.
struct Attention: Sendable {
  let qkv: Linear
  let projection: Linear

  /// From `a.norm1` (B T, d) to `a.residual` (B queries, d), which lacks the projection's bias yet.
  func forward(_ a: Activations.Block, _ pass: Pass) {
    let (group, shape) = (pass.group, pass.shape)
    qkv.forward(a.norm1, to: a.qkv, pass)
    pass.functions.attention(
      group.examples, shape.tokens.count, a.queries, shape.configuration.heads, shape.depth,
      pass.weights + qkv.bias, group.links?.base, a.qkv.base, a.probabilities.base, a.attention.base,
      group.attentionScratch)
    projection.forward(a.attention, to: a.residual, pass)
  }

  /// From `a.dresidual` (B queries, d) to dx, the gradient of `a.norm1` (B T, d).
  func backward(_ a: Activations.Block, to dx: Matrix, _ pass: Pass) {
    let (group, shape) = (pass.group, pass.shape)
    let dattention = dx[0..<a.dresidual.rows]
    projection.addBiasGradient(a.dresidual, pass)
    projection.backward(a.dresidual, to: dattention, pass)
    pass.functions.attention_gradient(
      group.examples, shape.tokens.count, a.queries, shape.configuration.heads, shape.depth, a.qkv.base,
      a.probabilities.base, group.links?.base, dattention.base, a.dqkv.base, pass.dvectors + qkv.bias,
      group.attentionScratch)
    qkv.backward(a.dqkv, to: dx, pass)
  }
}
