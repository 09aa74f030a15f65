import CKernels

/// A linear layer: weight W (outputs, inputs), and the offset among the weights of a bias (outputs), which is not added
/// by the product but by the kernel that reads it next.
struct Linear: Sendable {
  let weight: WeightLayout.Tensor
  let bias: Int

  /// y (N, outputs) = x (N, inputs) Wᵀ.
  func forward(_ x: Matrix, to y: Matrix, _ pass: Pass) {
    y.setProduct(of: x, by: weight.matrix(in: pass.weights), .transposed)
  }

  /// dx (N, inputs) = dy (N, outputs) W.
  func backward(_ dy: Matrix, to dx: Matrix, _ pass: Pass) {
    dx.setProduct(of: dy, by: weight.matrix(in: pass.weights))
  }

  /// Adds the sum of the rows of dy (N, outputs) to the gradient of the bias, where no kernel does so.
  func addBiasGradient(_ dy: Matrix, _ pass: Pass) {
    pass.functions.column_sums(dy.rows, dy.columns, 1, nil, dy.base, pass.dvectors + bias)
  }
}

/// The gradient of a weight matrix (outputs, inputs), or of some rows of it: a sum of products over all examples.
package struct WeightGradient {
  /// dy (N, outputs) and x (N, inputs), whose product dyᵀ x is a term of the gradient.
  typealias Factors = (dy: Matrix, x: Matrix)
  typealias Terms = (weight: WeightLayout.Tensor, [Factors])
  let gradient: Matrix
  let terms: [Factors]

  package func compute(accumulate: Bool) {
    for (index, (dy, x)) in terms.enumerated() {
      gradient.setProduct(of: dy, .transposed, by: x, accumulate: accumulate || index > 0)
    }
  }

  /// The gradient cut between rows into about as much work each, so that no thread waits long for the last.
  func parts() -> [WeightGradient] {
    let inner = terms.reduce(0) { $0 + $1.x.rows }
    let height = max(128, (1 << 25) / max(1, gradient.columns * inner) / 64 * 64)
    return stride(from: 0, to: gradient.rows, by: height).map { first in
      let rows = first..<min(gradient.rows, first + height)
      return WeightGradient(gradient: gradient[rows], terms: terms.map { ($0.dy[columns: rows], $0.x) })
    }
  }
}
