/// Philox 4x32-10: counter-based random numbers (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
/// SC 2011).
///
/// A block of four numbers is a pure function of a key and a counter, so any part of any stream can be drawn
/// without drawing what comes before it.
public enum Philox {
  /// The four random words at a counter.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for round in 0..<10 {
      if round > 0 { k &+= SIMD2(0x9E37_79B9, 0xBB67_AE85) }
      let a = (0xD251_1F53 as UInt32).multipliedFullWidth(by: c.x)
      let b = (0xCD9E_8D57 as UInt32).multipliedFullWidth(by: c.z)
      c = SIMD4(b.high ^ c.y ^ k.x, b.low, a.high ^ c.w ^ k.y, a.low)
    }
    return c
  }

  /// The key of a seed.
  public static func key(seed: UInt64) -> SIMD2<UInt32> {
    SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
  }
}

/// One of the 2^64 independent streams of random numbers of a seed, read in order.
///
/// Block b of stream s is Philox at the counter (low b, high b, low s, high s).
public struct PhiloxGenerator: RandomNumberGenerator, Sendable {
  private let key: SIMD2<UInt32>
  private let stream: UInt64
  private var position: UInt64 = 0
  private var block = SIMD4<UInt32>()

  public init(seed: UInt64, stream: UInt64 = 0) {
    key = Philox.key(seed: seed)
    self.stream = stream
  }

  /// The next 32 random bits.
  public mutating func nextWord() -> UInt32 {
    let lane = Int(position & 3)
    if lane == 0 {
      let b = position >> 2
      block = Philox.block(
        counter: SIMD4(
          UInt32(truncatingIfNeeded: b), UInt32(truncatingIfNeeded: b >> 32),
          UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)), key: key)
    }
    position &+= 1
    return block[lane]
  }

  public mutating func next() -> UInt64 {
    let low = UInt64(nextWord())
    return UInt64(nextWord()) << 32 | low
  }

  /// A float in [0, 1), a multiple of 2^-24.
  public mutating func uniform() -> Float {
    Float(nextWord() >> 8) * 0x1p-24
  }

  /// An integer in 0..<bound, without bias, by Lemire's multiplication.
  ///
  /// Written out rather than left to the standard library, whose sequence may change with its version.
  ///
  /// - Precondition: `bound > 0`.
  public mutating func integer(below bound: UInt32) -> UInt32 {
    precondition(bound > 0)
    var product = bound.multipliedFullWidth(by: nextWord())
    // The threshold is below the bound, so that the division is seldom needed.
    if product.low < bound {
      let threshold = (0 &- bound) % bound
      while product.low < threshold { product = bound.multipliedFullWidth(by: nextWord()) }
    }
    return product.high
  }
}
