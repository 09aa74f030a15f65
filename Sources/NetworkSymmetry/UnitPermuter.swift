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
    for tensor in hidden.tensors {
      let rows = tensor.rowIndex.map { order.pointer($0) }
      let columns = tensor.columnIndex.map { order.pointer($0) }
      let (from, to) = (input + tensor.start, output + tensor.start)
      if let columns {
        kernels.permute(scale, tensor.rows, rows, tensor.columns, columns, tensor.block, from, to)
      } else if tensor.columns * tensor.block == 1 {
        // A bias: numbers are picked faster than rows of one.
        kernels.permute(scale, 1, nil, tensor.rows, rows, 1, from, to)
      } else {
        moveRows(
          tensor.rows, rows, length: tensor.columns * tensor.block, from: from, to: to,
          isPastCaches: isPastCaches)
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
