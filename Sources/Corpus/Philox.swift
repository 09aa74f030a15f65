/// Philox 4x32-10: counter-based random numbers (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
/// SC 2011).
///
/// A block of four numbers is a pure function of a key and a counter, so any part of any stream can be drawn
/// without drawing what comes before it.
public enum Philox {
  /// The four random words at a counter.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    // In single numbers: the compiler makes more of them than of the vectors.
    var (x, y, z, w) = (counter.x, counter.y, counter.z, counter.w)
    var (k, l) = (key.x, key.y)
    for round in 0..<10 {
      if round > 0 {
        k &+= 0x9E37_79B9
        l &+= 0xBB67_AE85
      }
      let a = UInt64(x) &* 0xD251_1F53
      let b = UInt64(z) &* 0xCD9E_8D57
      (x, y, z, w) = (
        UInt32(truncatingIfNeeded: b >> 32) ^ y ^ k, UInt32(truncatingIfNeeded: b),
        UInt32(truncatingIfNeeded: a >> 32) ^ w ^ l, UInt32(truncatingIfNeeded: a)
      )
    }
    return SIMD4(x, y, z, w)
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
    while true {
      if let integer = Self.integer(nextWord(), below: bound) { return integer }
    }
  }

  /// Likewise of a word that has been drawn; nil where another one is to be drawn.
  @inlinable public static func integer(_ word: UInt32, below bound: UInt32) -> UInt32? {
    precondition(bound > 0)
    let product = bound.multipliedFullWidth(by: word)
    // The threshold is below the bound, so that the division is seldom needed.
    return product.low < bound && product.low < (0 &- bound) % bound ? nil : product.high
  }
}
