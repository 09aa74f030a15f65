import CKernels
import Corpus
import Foundation
import Testing

@Suite struct RandomTests {
  private func words(_ path: Path, seed: UInt64, stream: UInt64, block: UInt64, count: Int) -> [UInt32] {
    var result = [UInt32](repeating: 0, count: count)
    path.k.random_words(seed, stream, block, count, &result)
    return result
  }

  @Test(arguments: Path.all) func `gives the published blocks`(path: Path) {
    #expect(
      words(path, seed: 0, stream: 0, block: 0, count: 4)
        == [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
    #expect(
      words(path, seed: .max, stream: .max, block: .max, count: 4)
        == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
    #expect(
      words(
        path, seed: 0x299F_31D0_A409_3822, stream: 0x0370_7344_1319_8A2E, block: 0x85A3_08D3_243F_6A88,
        count: 4) == [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1])
  }

  /// The generators of initial states in Swift and those of noise in C must be the same streams.
  @Test(arguments: Path.all) func `agrees with Swift`(path: Path) {
    var generator = PhiloxGenerator(seed: 0xDEAD_BEEF_0000_0001, stream: 1 << 40)
    let expected = (0..<203).map { _ in generator.nextWord() }
    let got = words(path, seed: 0xDEAD_BEEF_0000_0001, stream: 1 << 40, block: 0, count: 203)
    #expect(got == expected)
    let later = words(path, seed: 0xDEAD_BEEF_0000_0001, stream: 1 << 40, block: 10, count: 30)
    #expect(later == Array(expected[40..<70]))

    var uniforms = PhiloxGenerator(seed: 5, stream: 6)
    let floats = Floats(count: 77)
    path.k.random_uniform(5, 6, 0, 77, floats.p)
    #expect(floats.array == (0..<77).map { _ in uniforms.uniform() })
  }

  @Test(arguments: Path.all) func `carries into the high word of the counter`(path: Path) {
    let start = UInt64(UInt32.max) - 3
    let got = words(path, seed: 1, stream: 2, block: start, count: 32)
    for b in 0..<8 as Range<UInt64> {
      let counter = SIMD4<UInt32>(
        UInt32(truncatingIfNeeded: start + b), UInt32((start + b) >> 32), 2, 0)
      let block = Philox.block(counter: counter, key: SIMD2(1, 0))
      for lane in 0..<4 { #expect(got[Int(b) * 4 + lane] == block[lane]) }
    }
  }

  @Test(arguments: Path.all) func `normals are those of Box and Muller`(path: Path) {
    let got = Floats(count: 1000)
    path.k.random_normal(7, 8, 0, 1000, got.p)
    var generator = PhiloxGenerator(seed: 7, stream: 8)
    for i in stride(from: 0, to: 1000, by: 2) {
      let u = Double(generator.uniform()) + 0x1p-24
      let angle = 2 * Double.pi * Double(generator.uniform())
      let radius = (-2 * log(u)).squareRoot()
      #expect(abs(Double(got.p[i]) - radius * cos(angle)) < 2e-6)
      #expect(abs(Double(got.p[i + 1]) - radius * sin(angle)) < 2e-6)
    }
  }

  /// Mean, variance, skewness, kurtosis and the correlation of neighbours, within five standard deviations.
  @Test func `normals have their moments`() {
    let count = 400_000
    let floats = Floats(count: count)
    Path.all[0].k.random_normal(3, 4, 0, count, floats.p)
    let x = floats.doubles
    let n = Double(count)
    func moment(_ power: Double) -> Double { x.reduce(0) { $0 + pow($1, power) } / n }
    let tolerance = 5 / n.squareRoot()
    #expect(abs(moment(1)) < tolerance)
    #expect(abs(moment(2) - 1) < tolerance * 2.0.squareRoot())
    #expect(abs(moment(3)) < tolerance * 15.0.squareRoot())
    #expect(abs(moment(4) - 3) < tolerance * 96.0.squareRoot())
    let neighbours = zip(x, x.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / n
    #expect(abs(neighbours) < tolerance)
    #expect(largest(x.map(\.magnitude)) < 5.78)
  }
}
