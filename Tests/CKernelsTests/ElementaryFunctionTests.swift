import CKernels
import Foundation
import Testing

@Suite struct ElementaryFunctionTests {
  /// The largest error in ulps over many arguments.
  private func worst(
    _ function: (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void, of x: [Float],
    reference: (Double) -> Double
  ) -> Double {
    let input = Floats(x)
    let output = Floats(count: x.count)
    function(x.count, input.p, output.p)
    return largest(zip(x, output.array).map { reference(Double($0)).ulps(to: $1) })
  }

  private func grid(_ range: ClosedRange<Float>, _ count: Int = 100_000) -> [Float] {
    (0...count).map { range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / Float(count) }
  }

  @Test(arguments: Path.all) func `exp is accurate`(path: Path) {
    #expect(worst(path.k.exp, of: grid(-87.3...88.72), reference: exp) < 1.5)
    #expect(worst(path.k.exp, of: grid(-1...1), reference: exp) < 1.5)
  }

  @Test(arguments: Path.all) func `log is accurate`(path: Path) {
    let all = stride(from: Float.leastNormalMagnitude.bitPattern, to: Float.infinity.bitPattern, by: 20_011)
      .map(Float.init(bitPattern:))
    #expect(worst(path.k.log, of: all, reference: log) < 1.5)
    #expect(worst(path.k.log, of: grid(0.5...2), reference: log) < 1.5)
  }

  @Test(arguments: Path.all) func `sine and cosine are accurate`(path: Path) {
    // The floats next to the zeros are where a careless reduction loses all digits.
    let zeros = (1...636).map { Float(Double($0) * Double.pi / 2) }
    for x in [grid(-4...4), grid(-1000...1000), zeros, zeros.map(\.nextUp), zeros.map(\.nextDown)] {
      #expect(worst(path.k.sin, of: x, reference: sin) < 2)
      #expect(worst(path.k.cos, of: x, reference: cos) < 2)
    }
  }

  @Test(arguments: Path.all) func `special values give what IEEE 754 says`(path: Path) {
    func apply(
      _ function: (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void, _ x: Float
    ) -> Float {
      let value = Floats([x])
      function(1, value.p, value.p)
      return value.p[0]
    }
    #expect(apply(path.k.exp, 0) == 1)
    #expect(apply(path.k.exp, 89) == .infinity)
    #expect(apply(path.k.exp, .infinity) == .infinity)
    #expect(apply(path.k.exp, -88) == 0)
    #expect(apply(path.k.exp, -.infinity) == 0)
    #expect(apply(path.k.exp, .nan).isNaN)
    #expect(apply(path.k.log, 1) == 0)
    #expect(apply(path.k.log, 0) == -.infinity)
    #expect(apply(path.k.log, -1).isNaN)
    #expect(apply(path.k.log, .nan).isNaN)
    #expect(apply(path.k.log, .infinity) == .infinity)
    #expect(apply(path.k.sin, 0) == 0)
    #expect(apply(path.k.cos, 0) == 1)
    #expect(apply(path.k.sin, .nan).isNaN)
  }

  /// The last, partial vector neither reads nor writes past the arrays' ends.
  @Test(arguments: Path.all) func `takes any count`(path: Path) {
    for count in 0...33 {
      let x = random(40, scale: 3, stream: 1)
      let y = x.copy
      path.k.exp(count, x.p, y.p)
      for i in 0..<40 {
        #expect(i < count ? exp(Double(x.p[i])).ulps(to: y.p[i]) < 1.5 : y.p[i] == x.p[i])
      }
    }
  }
}
