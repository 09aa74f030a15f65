internal import CKernels
package import VectorKernels

/// Copies parameter vectors into a batch, permuted and scaled in one pass.
package struct UnitPermuter: @unchecked Sendable {
  // Sendable because the table of kernels is a constant of the program.
  private let kernels: ck_kernels
  private let hidden: HiddenLayers
  private let count: Int
  private let scale: Float

  package init(_ hidden: HiddenLayers, parameterCount: Int, scale: Float, kernels: Kernels) {
    self.hidden = hidden
    self.scale = scale
    count = parameterCount
    self.kernels = kernels.functions
  }

  /// - Parameters:
  ///   - order: nil to leave the units where they are.
  ///   - input, output: P floats each, which do not overlap.
  ///   - isPastCaches: whether long rows are written past the caches.
  package func copy(
    _ order: UnitOrder?, from input: UnsafePointer<Float>, to output: UnsafeMutablePointer<Float>,
    isPastCaches: Bool = false
  ) {
    guard let order else {
      return moveRows(1, nil, length: count, from: input, to: output, isPastCaches: isPastCaches)
    }
    for part in hidden.parts {
      let rows = part.rowIndex.map { order.pointer($0) }
      let columns = part.columnIndex.map { order.pointer($0) }
      let (from, to) = (input + part.start, output + part.start)
      if let columns {
        kernels.permute(scale, part.rows, rows, part.columns, columns, part.block, from, to)
      } else if part.columns * part.block == 1 {
        // A bias: numbers are picked faster than rows of one.
        kernels.permute(scale, 1, nil, part.rows, rows, 1, from, to)
      } else {
        moveRows(
          part.rows, rows, length: part.columns * part.block, from: from, to: to, isPastCaches: isPastCaches)
      }
    }
  }

  private func moveRows(
    _ rows: Int, _ order: UnsafePointer<UInt32>?, length: Int, from input: UnsafePointer<Float>,
    to output: UnsafeMutablePointer<Float>, isPastCaches: Bool
  ) {
    if isPastCaches, length >= Self.longRow {
      kernels.permute_rows_past_caches(scale, rows, order, length, input, output)
    } else {
      kernels.permute(scale, rows, order, length, nil, 1, input, output)
    }
  }

  /// Floats of a row of which little shares its cache lines with other rows.
  private static let longRow = 128
}
