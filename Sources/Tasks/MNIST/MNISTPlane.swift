internal import CKernels
internal import CPlaneKernels
import VectorKernels

/// The networks of a plane on the test images: their first layers are computed three times in all (`CPlaneKernels.h`).
final class MNISTPlane: PlaneEvaluator, @unchecked Sendable {
  // Sendable because nothing changes after the initializer.
  let images: Int?
  private let count: Int
  private let wantsLosses: Bool
  private let kernels: UnsafePointer<ck_plane_kernels>
  /// (3, groups, 10, 16), (3, 110) and (groups, 16): a `ck_plane`.
  private let sums: AlignedBuffer<Float>
  private let heads: AlignedBuffer<Float>
  private let labels: AlignedBuffer<Int32>

  init(
    _ plane: ParameterPlane, wantsLosses: Bool, images: InkImages, count: Int, scale: ck_mnist_scale,
    kernels: Kernels
  ) {
    let table = ck_plane_kernels_of(kernels.table)
    let (groups, lanes, units) = (ck_plane_groups(count), Int(CK_LANES), Int(CK_MNIST_UNITS))
    (self.kernels, self.images, self.count, self.wantsLosses) = (table, count, count, wantsLosses)
    sums = AlignedBuffer(count: 3 * groups * units * lanes)
    heads = AlignedBuffer(count: 3 * Int(CK_PLANE_HEAD))
    labels = AlignedBuffer(count: groups * lanes)
    let weights = AlignedBuffer<Float>(count: Int(CK_MNIST_PIXELS) * lanes)
    var (scale, view) = (scale, images.view)
    for (index, vector) in [plane.origin, plane.first, plane.second].enumerated() {
      table.pointee.first_layer(
        vector, &scale, &view, count, weights.base, sums.base + index * groups * units * lanes)
      let head = vector.suffix(Int(CK_PLANE_HEAD))
      for (i, value) in head.enumerated() { heads.base[index * Int(CK_PLANE_HEAD) + i] = value }
    }
    for i in 0..<groups * lanes { labels.base[i] = i < count ? Int32(view.labels[i]) : -1 }
  }

  func values(x: [Float], y: Float) -> [Float] {
    var plane = ck_plane(sums: sums.base, heads: heads.base, labels: labels.base)
    var outcomes = [ck_outcome](repeating: ck_outcome(loss: 0, error: 0), count: x.count)
    kernels.pointee.outcomes(&plane, count, wantsLosses ? 1 : 0, y, x.count, x, &outcomes)
    return outcomes.map { wantsLosses ? $0.loss : $0.error }
  }
}
