internal import CKernels
import VectorKernels

/// Copies parameter vectors into a batch, permuted and scaled in one pass.
package struct UnitPermuter: @unchecked Sendable {
  // Sendable because the table of kernels is a constant of the program.
  private let kernels: ck_kernels
  private let hidden: HiddenLayers
  private let count: Int
  private let scale: Float

  package init(_ hidden: HiddenLayers, parameterCount: Int, scale: Float) {
    self.hidden = hidden
    self.scale = scale
    count = parameterCount
    kernels = ck_kernels_best().pointee
  }

  /// - Parameters:
  ///   - order: nil to leave the units where they are.
  ///   - input, output: P floats each, which do not overlap.
  package func copy(
    _ order: UnitOrder?, from input: UnsafePointer<Float>, to output: UnsafeMutablePointer<Float>
  ) {
    guard let order else { return kernels.permute(scale, 1, nil, count, nil, 1, input, output) }
    for part in hidden.parts {
      let rows = part.rowLayer.map { order.units.base + hidden.firsts[$0] }
      let columns = part.columnLayer.map { order.units.base + hidden.firsts[$0] }
      let (from, to) = (input + part.start, output + part.start)
      if part.columns * part.block == 1 {
        // A bias: numbers are picked faster than rows of one.
        kernels.permute(scale, 1, nil, part.rows, rows, 1, from, to)
      } else {
        kernels.permute(scale, part.rows, rows, part.columns, columns, part.block, from, to)
      }
    }
  }
}
