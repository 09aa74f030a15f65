import CDNNL

/// A row-major matrix inside somebody else's memory.
struct Matrix {
  let base: UnsafeMutablePointer<Float>
  let rows: Int
  let columns: Int
  /// Floats from one row to the next.
  let stride: Int

  init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// Some successive rows.
  subscript(rows: Range<Int>) -> Matrix {
    Matrix(base + rows.lowerBound * stride, rows: rows.count, columns: columns, stride: stride)
  }

  enum Form {
    case plain, transposed
  }

  /// This matrix becomes a b, plus itself if `adds`, on the calling thread (`dnnl_sgemm`).
  func setProduct(
    of a: Matrix, _ aForm: Form = .plain, by b: Matrix, _ bForm: Form = .plain, adds: Bool = false
  ) {
    let inner = aForm == .plain ? a.columns : a.rows
    precondition((aForm == .plain ? a.rows : a.columns) == rows)
    precondition((bForm == .plain ? b.columns : b.rows) == columns)
    precondition((bForm == .plain ? b.rows : b.columns) == inner)
    guard rows > 0, columns > 0 else { return }
    let status = dnnl_sgemm(
      Self.letter(aForm), Self.letter(bForm), Int64(rows), Int64(columns), Int64(inner), 1, a.base,
      Int64(a.stride), b.base, Int64(b.stride), adds ? 1 : 0, base, Int64(stride))
    precondition(status == dnnl_success, "oneDNN refuses a matrix product")
  }

  private static func letter(_ form: Form) -> CChar { form == .plain ? 0x4E : 0x54 }
}
