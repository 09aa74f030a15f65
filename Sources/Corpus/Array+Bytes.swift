import Glibc

extension Array where Element: BitwiseCopyable {
  /// Whether the elements have the same bits, NaN and the sign of zero included, compared at the speed of memory.
  package func hasBytes(of other: [Element]) -> Bool {
    withUnsafeBytes { mine in other.withUnsafeBytes { mine.hasBytes(of: $0) } }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are the same, compared at the speed of memory.
  package func hasBytes(of other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let a = baseAddress, let b = other.baseAddress else { return true }
    return memcmp(a, b, count) == 0
  }
}
