import CKernels
import TestSupport

extension NaiveConvolution {
  /// What the network sees of a picture, pixel by pixel.
  static func picture(_ p: Pictures, _ crop: ck_crop) -> [Double] {
    (0..<3072).map { j in
      let (c, y, x) = (j / 1024, j / 32 % 32 + Int(crop.row) - 4, j % 32 + Int(crop.column) - 4)
      guard (0..<32).contains(y) && (0..<32).contains(x) else { return 0 }
      let column = crop.flip == 0 ? x : 31 - x
      let pixel = p.pixels[Int(crop.picture) * 3072 + c * 1024 + y * 32 + column]
      return (Double(pixel) - Pictures.means[c]) / Pictures.deviations[c]
    }
  }
}

/// Made-up pictures: noise over a slope, so that channels and places differ. Never freed, as with ``Floats``.
struct Pictures {
  static let means = [125.3, 123.0, 113.9]
  static let deviations = [63.0, 62.1, 66.7]

  let pixels: UnsafeMutablePointer<UInt8>
  let labels: UnsafeMutablePointer<UInt8>

  init(count: Int) {
    let noise = random(count * 3072, scale: 60, stream: 200)
    pixels = .allocate(capacity: count * 3072)
    labels = .allocate(capacity: count)
    for i in 0..<count * 3072 { pixels[i] = UInt8(Float(90 + i % 32 + i / 1024 % 3 * 20) + noise.p[i]) }
    for i in 0..<count { labels[i] = UInt8(i * 7 % 10) }
  }

  /// What the kernels take.
  var c: ck_pictures {
    let (m, d) = (Self.means.map(Float.init), Self.deviations.map(Float.init))
    return ck_pictures(
      pixels: pixels, labels: labels, mean: (m[0], m[1], m[2]), deviation: (d[0], d[1], d[2]))
  }
}
