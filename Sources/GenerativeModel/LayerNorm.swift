import CKernels

/// Layer normalisation: the offsets of its gain and its bias, (d) each, among the weights.
struct LayerNorm: Sendable {
  let gain: Int
  let bias: Int

  /// y (N, d) = (x - mean) / deviation * gain + bias of each row of x (N, d).
  ///
  /// - Parameters:
  ///   - statistics: (N, 2), gets the mean and 1 / deviation of each row for the backward pass.
  ///   - positions: the offset of a table (…, d) among the weights, and which of its rows is added to each row in turn.
  func forward(
    _ x: Matrix, to y: Matrix, _ statistics: Matrix, positions: (table: Int, rows: [UInt32])? = nil,
    _ pass: Pass
  ) {
    pass.functions.norm(
      x.rows, x.columns, x.base, pass.weights + gain, pass.weights + bias,
      positions.map { pass.weights + $0.table }, positions?.rows.count ?? 1, positions?.rows, y.base,
      statistics.base)
  }

  /// dx (N, d) from dy (N, d), plus `residual` (N, d) where a residual connection passes the norm by.
  func backward(
    _ dy: Matrix, x: Matrix, _ statistics: Matrix, residual: Matrix? = nil, to dx: Matrix, _ pass: Pass
  ) {
    pass.functions.norm_gradient(
      x.rows, x.columns, x.base, pass.weights + gain, statistics.base, dy.base, residual?.base, dx.base,
      pass.dvectors + gain, pass.dvectors + bias)
  }
}
