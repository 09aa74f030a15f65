import CKernels
import Foundation
package import VectorKernels

/// The standard normal noise of a sample: a draft of the options' seed, which has as many as anyone wants, or what lies between
/// two of them.
public struct SamplingNoise: Hashable, Sendable {
  /// From 0 to 2^24 - 1; as is ``other``.
  public let draft: Int
  public let other: Int
  /// How far it is from ``draft`` to ``other``: 0 to 1.
  public let share: Double

  /// A draft as it is.
  public init(_ draft: Int) { self.init(from: draft, to: draft, share: 0) }

  /// Noise between two drafts by spherical interpolation, which keeps to its length where a straight line would make less of it
  /// (Shoemake 1985); at the ends the drafts themselves, to the bit.
  public init(from draft: Int, to other: Int, share: Double) {
    precondition((0...1).contains(share) && min(draft, other) >= 0 && max(draft, other) < 1 << 24)
    (self.draft, self.other, self.share) = (draft, other, share)
  }

  /// Writes the noise (count) of a pass of sampling.
  package func write(
    pass: Int, seed: UInt64, count: Int, kernels: Kernels, to output: UnsafeMutablePointer<Float>
  ) {
    func fill(_ draft: Int, _ output: UnsafeMutablePointer<Float>) {
      kernels.functions.random_normal(
        seed, RandomPurpose.sample.stream(pass, item: draft), 0, count, output)
    }
    if share == 0 || share == 1 || draft == other { return fill(share == 1 ? other : draft, output) }
    fill(draft, output)
    let end = AlignedBuffer<Float>(count: count)
    fill(other, end.base)
    var (product, first, second) = (0.0, 0.0, 0.0)
    for i in 0..<count {
      let (a, b) = (Double(output[i]), Double(end.base[i]))
      (product, first, second) = (product + a * b, first + a * a, second + b * b)
    }
    let cosine = product / (first * second).squareRoot()
    let angle = acos(min(max(cosine, -1), 1))
    // Noise of one or two numbers may lie on a line, where no circle is between the two.
    let isLine = sin(angle) < 1e-6
    let here = isLine ? 1 - share : sin((1 - share) * angle) / sin(angle)
    let there = isLine ? share : sin(share * angle) / sin(angle)
    for i in 0..<count { output[i] = Float(here * Double(output[i]) + there * Double(end.base[i])) }
  }
}
