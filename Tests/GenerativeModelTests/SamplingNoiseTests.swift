import Foundation
import GenerativeModel
import Testing
import VectorKernels

@Suite struct SamplingNoiseTests {
  private func numbers(_ noise: SamplingNoise, pass: Int = 0, count: Int = 500) throws -> [Double] {
    let kernels = try Kernels()
    return [Float](unsafeUninitializedCapacity: count) { buffer, written in
      if let base = buffer.baseAddress {
        noise.write(pass: pass, seed: 3, count: count, kernels: kernels, to: base)
        written = count
      }
    }.map(Double.init)
  }

  private func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  @Test func `drafts are the ends`() throws {
    let (a, b) = (try numbers(SamplingNoise(4)), try numbers(SamplingNoise(9)))
    #expect(try numbers(SamplingNoise(from: 4, to: 9, share: 0)) == a)
    #expect(try numbers(SamplingNoise(from: 4, to: 9, share: 1)) == b)
    #expect(try numbers(SamplingNoise(from: 4, to: 4, share: 0.4)) == a)
    #expect(a != b)
    #expect(try numbers(SamplingNoise(4), pass: 1) != a)
  }

  /// (sin((1 - t) Ω) a + sin(t Ω) b) / sin Ω: the published walk's.
  @Test(arguments: [0.1, 0.5, 0.8]) func `between them it goes along the circle`(share: Double) throws {
    let (a, b) = (try numbers(SamplingNoise(4)), try numbers(SamplingNoise(9)))
    let angle = acos(product(a, b) / (product(a, a) * product(b, b)).squareRoot())
    let between = try numbers(SamplingNoise(from: 4, to: 9, share: share))
    for (value, (x, y)) in zip(between, zip(a, b)) {
      let expected = (sin((1 - share) * angle) * x + sin(share * angle) * y) / sin(angle)
      #expect(abs(value - expected) < 1e-6)
    }
    // A straight line would be as short as 0.7 of this in the middle.
    let length = (product(between, between) / product(a, a)).squareRoot()
    #expect(abs(length - 1) < 0.1)
  }

  @Test func `noise on a line stays a number`() throws {
    #expect(try numbers(SamplingNoise(from: 0, to: 1, share: 0.3), count: 1)[0].isFinite)
  }
}
