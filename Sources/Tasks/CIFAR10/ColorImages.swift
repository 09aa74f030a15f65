internal import CKernels
package import Datasets
import VectorKernels

/// Images in three colours as the kernels read them; see `ck_pictures`.
package final class ColorImages: PackedImages, @unchecked Sendable {
  // Sendable because nothing changes after the initializer.
  let count: Int
  private let pixels: AlignedBuffer<UInt8>
  private let labels: AlignedBuffer<UInt8>

  /// - Precondition: images of 3 × 32 × 32 pixels.
  package init(_ images: ImageDataset.Part) {
    precondition(images.pixels.count == images.count * ImageDataset.Shape.cifar10.count)
    count = images.count
    pixels = AlignedBuffer(count: images.pixels.count)
    labels = AlignedBuffer(count: images.count)
    _ = UnsafeMutableBufferPointer(start: pixels.base, count: pixels.count)
      .update(fromContentsOf: images.pixels)
    _ = UnsafeMutableBufferPointer(start: labels.base, count: count).update(fromContentsOf: images.labels)
  }

  /// The kernels' view, valid as long as this object.
  ///
  /// - Precondition: three means and deviations.
  func view(means: [Double], deviations: [Double]) -> ck_pictures {
    let (m, d) = (means.map(Float.init), deviations.map(Float.init))
    return ck_pictures(
      pixels: pixels.base, labels: labels.base, mean: (m[0], m[1], m[2]), deviation: (d[0], d[1], d[2]))
  }
}
