import Corpus
import Testing

@Suite struct PhiloxTests {
  /// The known answers of Random123's kat_vectors.
  @Test(arguments: [
    (
      SIMD4<UInt32>(0, 0, 0, 0), SIMD2<UInt32>(0, 0),
      SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
    ),
    (
      SIMD4(repeating: UInt32.max), SIMD2(repeating: UInt32.max),
      SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
    ),
    (
      SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), SIMD2(0xa409_3822, 0x299f_31d0),
      SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
    ),
  ])
  func `gives the published numbers`(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>, expected: SIMD4<UInt32>
  ) {
    #expect(Philox.block(counter: counter, key: key) == expected)
  }

  @Test func `reads a stream's blocks in order`() {
    var generator = PhiloxGenerator(seed: 0x1234_5678_9ABC_DEF0, stream: 5)
    for block in 0..<3 as Range<UInt32> {
      let expected = Philox.block(
        counter: SIMD4(block, 0, 5, 0), key: SIMD2(0x9ABC_DEF0, 0x1234_5678))
      for lane in 0..<4 { #expect(generator.nextWord() == expected[lane]) }
    }
  }

  @Test func `draws integers below a bound evenly`() {
    var generator = PhiloxGenerator(seed: 1)
    for bound in [1, 2, 3, 7, 100] as [UInt32] {
      var counts = [Int](repeating: 0, count: Int(bound))
      for _ in 0..<(1000 * Int(bound)) { counts[Int(generator.integer(below: bound))] += 1 }
      // 1000 expected with a deviation of about 32.
      #expect(counts.allSatisfy { (820...1180).contains($0) })
    }
  }

  @Test func `draws uniform floats from zero up to but not one`() {
    var generator = PhiloxGenerator(seed: 2)
    let values = (0..<10_000).map { _ in generator.uniform() }
    #expect(values.allSatisfy { (0..<1).contains($0) })
    #expect(abs(values.reduce(0, +) / 10_000 - 0.5) < 0.015)
  }

  @Test func `keeps seeds and streams apart`() {
    func first(_ seed: UInt64, _ stream: UInt64) -> UInt64 {
      var generator = PhiloxGenerator(seed: seed, stream: stream)
      return generator.next()
    }
    #expect(Set([first(0, 0), first(1, 0), first(0, 1), first(1 << 32, 0), first(0, 1 << 32)]).count == 5)
  }
}
