internal import CKernels
package import Datasets
import VectorKernels

/// Images as lists of their pixels other than 0, the form in which the kernels read them; see `ck_ink`.
package final class InkImages: PackedImages, @unchecked Sendable {
  // Sendable because nothing changes after the initializer.
  let count: Int
  private let starts: AlignedBuffer<UInt32>
  private let rows: AlignedBuffer<UInt16>
  private let values: AlignedBuffer<UInt8>
  private let labels: AlignedBuffer<UInt8>

  /// - Precondition: images of `CK_MNIST_PIXELS` pixels.
  package init(_ images: ImageDataset.Part) {
    let size = Int(CK_MNIST_PIXELS)
    precondition(images.pixels.count == images.count * size)
    count = images.count
    starts = AlignedBuffer(count: count + 1)
    labels = AlignedBuffer(count: count)
    // Whole fours of entries; the buffers' zeros fill them up.
    for i in 0..<count {
      let ink = images.pixels[(i * size)..<((i + 1) * size)].reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
      starts.base[i + 1] = starts.base[i] + UInt32((ink + 3) / 4 * 4)
      labels.base[i] = images.labels[i]
    }
    let entries = Int(starts.base[count])
    rows = AlignedBuffer(count: entries)
    values = AlignedBuffer(count: entries + 16)
    for i in 0..<count {
      var entry = Int(starts.base[i])
      for pixel in 0..<size {
        let value = images.pixels[i * size + pixel]
        guard value != 0 else { continue }
        rows.base[entry] = UInt16(pixel * Int(CK_LANES))
        values.base[entry] = value
        entry += 1
      }
    }
  }

  /// The kernels' view, valid as long as this object.
  var view: ck_ink {
    ck_ink(starts: starts.base, rows: rows.base, values: values.base, labels: labels.base)
  }
}
