import CCrypto

/// SHA-256 over pieces, on libcrypto's `EVP_Digest` functions.
public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  public init() throws(CorpusError) {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      throw CorpusError(.resource, "libcrypto offers no SHA-256", remedy: "install libssl again")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Hashes the bytes of these values as they lie in memory; the formats here are little endian, as are the
  /// machines that this package supports.
  public mutating func update<Value: BitwiseCopyable>(_ values: [Value]) {
    values.withUnsafeBytes { _ = EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
  }

  public mutating func update<Value: BitwiseCopyable>(_ value: Value) {
    withUnsafeBytes(of: value) { _ = EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
  }

  package mutating func update(bytes: UnsafeRawBufferPointer) {
    _ = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
  }

  /// The digest of everything hashed so far.
  public consuming func finish() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    digest.withUnsafeMutableBufferPointer { _ = EVP_DigestFinal_ex(context, $0.baseAddress, nil) }
    return digest
  }
}

/// The SHA-256 of a run's contents: what two copies of a run agree in, however they are stored.
///
/// Hashed, little endian and without gaps: seed (int64), number of checkpoints (int64), iterations (int32 each),
/// each metric's values (float32) in the corpus's order of metrics, parameters (float32, checkpoints × P).
public struct ContentHash: Hashable, Sendable {
  /// 32 bytes.
  public let bytes: [UInt8]

  /// - Precondition: 32 bytes.
  public init(bytes: [UInt8]) {
    precondition(bytes.count == 32)
    self.bytes = bytes
  }

  public init(of run: Run) throws(CorpusError) {
    var hash = try SHA256()
    hash.update(run.seed)
    hash.update(Int64(run.count))
    hash.update(run.iterations)
    for metric in run.metrics { hash.update(metric) }
    hash.update(run.parameters)
    bytes = hash.finish()
  }
}

extension ContentHash: LosslessStringConvertible {
  /// Reads what ``description`` writes; nil for anything else.
  public init?(_ text: String) {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == 64, text.utf8.count == 64 else { return nil }
    self.init(bytes: stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
  }

  /// 64 hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
