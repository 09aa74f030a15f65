import Glibc

extension Array where Element: BitwiseCopyable {
  /// Whether the elements have the same bits, NaN and the sign of zero included, compared at the speed of memory.
  package func hasBytes(of other: [Element]) -> Bool {
    guard count == other.count else { return false }
    return withUnsafeBytes { mine in
      other.withUnsafeBytes { theirs in
        guard let a = mine.baseAddress, let b = theirs.baseAddress else { return true }
        return memcmp(a, b, mine.count) == 0
      }
    }
  }
}
