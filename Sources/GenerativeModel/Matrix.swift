import CDNNL

/// A row-major matrix of floats inside somebody else's memory.
package struct Matrix {
  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  /// Floats from one row to the next.
  package let stride: Int

  package init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// Successive rows.
  package subscript(rows: Range<Int>) -> Matrix {
    Matrix(base + rows.lowerBound * stride, rows: rows.count, columns: columns, stride: stride)
  }

  /// The floats of one row.
  package func row(_ row: Int) -> UnsafeMutablePointer<Float> { base + row * stride }

  /// Successive columns.
  subscript(columns columns: Range<Int>) -> Matrix {
    Matrix(base + columns.lowerBound, rows: rows, columns: columns.count, stride: stride)
  }

  /// The rows of one token of each example, (B, columns), where each example has `count` rows: one a token.
  func token(_ token: Int, of count: Int) -> Matrix {
    Matrix(base + token * stride, rows: rows / count, columns: columns, stride: count * stride)
  }

  enum Form {
    case plain, transposed
  }

  /// Sets this matrix to a b, or adds a b to it if `accumulate`, on the calling thread (`dnnl_sgemm`).
  func setProduct(
    of a: Matrix, _ aForm: Form = .plain, by b: Matrix, _ bForm: Form = .plain, accumulate: Bool = false
  ) {
    let inner = aForm == .plain ? a.columns : a.rows
    precondition((aForm == .plain ? a.rows : a.columns) == rows)
    precondition((bForm == .plain ? b.columns : b.rows) == columns)
    precondition((bForm == .plain ? b.rows : b.columns) == inner)
    guard rows > 0, columns > 0 else { return }
    let status = dnnl_sgemm(
      Self.letter(aForm), Self.letter(bForm), Int64(rows), Int64(columns), Int64(inner), 1, a.base,
      Int64(a.stride), b.base, Int64(b.stride), accumulate ? 1 : 0, base, Int64(stride))
    precondition(status == dnnl_success, "oneDNN refuses a matrix product")
  }

  private static func letter(_ form: Form) -> CChar { form == .plain ? 0x4E : 0x54 }
}
