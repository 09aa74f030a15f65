package import Foundation

/// A SHA-256 that stands in the bytes that it is of: it is theirs with 64 zeros in place of its own digits.
package enum EmbeddedHash {
  /// What stands in its place while it is not known.
  package static let placeholder = String(repeating: "0", count: 64)

  /// The bytes with other digits where the first such ones stand; nil where none do.
  private static func replacing(_ digits: String, with others: String, in bytes: Data) -> Data? {
    guard let range = bytes.firstRange(of: Data(digits.utf8)) else { return nil }
    return bytes.replacingSubrange(range, with: Data(others.utf8))
  }

  /// Puts the hash into bytes that have the placeholder.
  ///
  /// - Parameter rest: hashes what follows them.
  package static func seal(
    _ bytes: Data, rest: (inout SHA256) throws(CorpusError) -> Void = { _ in }
  ) throws(CorpusError) -> Data {
    var hash = try SHA256()
    hash.update(Array(bytes))
    try rest(&hash)
    let digits = ContentHash(bytes: hash.finish()).description
    return replacing(placeholder, with: digits, in: bytes) ?? bytes
  }

  /// Whether bytes have the hash that stands in them.
  ///
  /// - Parameters:
  ///   - digits: the hash, as it was read from them.
  ///   - rest: hashes what follows them.
  package static func holds(
    _ digits: String, in bytes: Data, rest: (inout SHA256) throws(CorpusError) -> Void = { _ in }
  ) throws(CorpusError) -> Bool {
    guard digits.utf8.count == 64, let blank = replacing(digits, with: placeholder, in: bytes) else {
      return false
    }
    var hash = try SHA256()
    hash.update(Array(blank))
    try rest(&hash)
    return ContentHash(bytes: hash.finish()).description == digits
  }
}

extension Data {
  fileprivate func replacingSubrange(_ range: Range<Index>, with other: Data) -> Data {
    var copy = self
    copy.replaceSubrange(range, with: other)
    return copy
  }
}
