import CDeltaCodec

/// The XXH3 64-bit hash of bytes, at the speed of memory: what tells damage where a SHA-256 would take too long.
package struct Checksum: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64

  package init(of bytes: UnsafeRawBufferPointer) { value = cdelta_hash(bytes.baseAddress, bytes.count) }

  package init(of values: [some BitwiseCopyable]) { self = values.withUnsafeBytes { Checksum(of: $0) } }

  /// 16 hexadecimal digits.
  package var description: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
