import Corpus
import Testing

@Suite struct PhiloxTests {
  /// The known answers that come with the authors' own implementation, Random123.
  @Test(arguments: [
    (
      SIMD4<UInt32>(0, 0, 0, 0), SIMD2<UInt32>(0, 0),
      SIMD4<UInt32>(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)
    ),
    (
      SIMD4<UInt32>(repeating: UInt32.max), SIMD2<UInt32>(repeating: UInt32.max),
      SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)
    ),
    (
      SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), SIMD2(0xA409_3822, 0x299F_31D0),
      SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)
    ),
  ])
  func givesThePublishedBlocks(counter: SIMD4<UInt32>, key: SIMD2<UInt32>, expected: SIMD4<UInt32>) {
    #expect(Philox.block(counter: counter, key: key) == expected)
  }

  @Test func readsAStreamBlockByBlock() {
    let seed: UInt64 = 0x0123_4567_89AB_CDEF
    let stream: UInt64 = 0xFEDC_BA98_7654_3210
    var generator = PhiloxGenerator(seed: seed, stream: stream)
    for b in 0..<3 as Range<UInt32> {
      let block = Philox.block(
        counter: SIMD4(b, 0, 0x7654_3210, 0xFEDC_BA98), key: SIMD2(0x89AB_CDEF, 0x0123_4567))
      for lane in 0..<4 { #expect(generator.nextWord() == block[lane]) }
    }
  }

  @Test func drawsUniformFloatsBelowOne() {
    var generator = PhiloxGenerator(seed: 1)
    let draws = (0..<10_000).map { _ in generator.uniform() }
    #expect(draws.allSatisfy { (0..<1).contains($0) })
    let mean = draws.reduce(0, +) / Float(draws.count)
    // Five standard deviations of the mean of 10,000.
    #expect(abs(mean - 0.5) < 5 * 0.2887 / 100)
  }

  @Test(arguments: [1, 2, 3, 7, 0x8000_0001] as [UInt32])
  func drawsIntegersBelowABound(bound: UInt32) {
    var generator = PhiloxGenerator(seed: 2, stream: UInt64(bound))
    var counts: [UInt32: Int] = [:]
    for _ in 0..<7_000 { counts[generator.integer(below: bound), default: 0] += 1 }
    #expect(counts.keys.allSatisfy { $0 < bound })
    guard bound <= 7 else { return }
    let expected = 7_000 / Double(bound)
    for value in 0..<bound {
      #expect(abs(Double(counts[value] ?? 0) - expected) <= 5 * expected.squareRoot())
    }
  }
}
