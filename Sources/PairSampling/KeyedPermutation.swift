import Corpus

/// A permutation of 0..<count that needs no table: each number is computed from the key.
///
/// A Feistel network of eight rounds over the next power of four, walked until it leads into the range (Black and
/// Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). The rounds are those of Philox's multiplication.
package struct KeyedPermutation: Sendable {
  package let count: UInt64
  private let halfBits: UInt64
  private let mask: UInt64
  private let keys: [UInt64]

  /// - Precondition: `count` is from 1 to 2^62.
  package init(count: Int, seed: UInt64, stream: UInt64) {
    precondition(count > 0 && count <= 1 << 62)
    self.count = UInt64(count)
    let bits = max(2, 64 - UInt64(count - 1).leadingZeroBitCount)
    halfBits = UInt64((bits + 1) / 2)
    mask = (1 << halfBits) - 1
    var generator = PhiloxGenerator(seed: seed, stream: stream)
    keys = (0..<8).map { _ in generator.next() }
  }

  /// The number at an index in 0..<count.
  package subscript(index: Int) -> Int {
    var value = UInt64(index)
    precondition(value < count)
    repeat { value = encrypted(value) } while value >= count
    return Int(value)
  }

  private func encrypted(_ value: UInt64) -> UInt64 {
    var left = value >> halfBits
    var right = value & mask
    for key in keys {
      let mixed = ((right ^ key) &* 0xD251_1F53_9E37_79B9)
      (left, right) = (right, left ^ ((mixed ^ mixed >> 32) >> 7 & mask))
    }
    return left << halfBits | right
  }
}
