import Glibc

/// Reads `runs.json` as Python writes it: JSON in which a number may also be NaN, Infinity or -Infinity.
///
/// Foundation's decoder reads this dialect, too, but takes as long over it as the rest of an import.
package struct ReleasedRecordParser {
  /// Why a text is not what it should be.
  package struct Failure: Error {
    let reason: String
  }

  private let bytes: [UInt8]
  private var position = 0

  /// - Parameter bytes: the text in UTF-8, with a zero after its end.
  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The records in a text, by run; one that is the text as a whole has the name "".
  package static func records(in bytes: [UInt8]) throws(Failure) -> [String: ReleasedRecord] {
    var parser = ReleasedRecordParser(bytes + [0])
    var records: [String: ReleasedRecord] = [:]
    var record: [String: [String: Double]]?
    try parser.object { (parser, name) throws(Failure) in
      if name == "checkpoints" {
        record = try parser.checkpoints()
      } else if name == "metadata" {
        try parser.skip()
      } else {
        records[name] = try parser.record()
      }
    }
    guard parser.next() == 0, parser.position == bytes.count else { throw parser.failure("the end") }
    if let record { records[""] = ReleasedRecord(checkpoints: record) }
    return records
  }

  private mutating func record() throws(Failure) -> ReleasedRecord {
    var found: [String: [String: Double]]?
    try object { (parser, name) throws(Failure) in
      if name == "checkpoints" { found = try parser.checkpoints() } else { try parser.skip() }
    }
    guard let found else { throw Failure(reason: "a run without checkpoints ends at byte \(position)") }
    return ReleasedRecord(checkpoints: found)
  }

  private mutating func checkpoints() throws(Failure) -> [String: [String: Double]] {
    var checkpoints: [String: [String: Double]] = [:]
    try object { (parser, key) throws(Failure) in
      var metrics: [String: Double] = [:]
      try parser.object { (parser, name) throws(Failure) in metrics[name] = try parser.number() }
      checkpoints[key] = metrics
    }
    return checkpoints
  }

  // MARK: JSON

  /// The next byte that is no space, not yet consumed.
  private mutating func next() -> UInt8 {
    while true {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      case let byte: return byte
      }
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private func failure(_ expected: String) -> Failure {
    Failure(reason: "\(expected) is expected at byte \(position)")
  }

  /// Reads an object.
  ///
  /// - Parameter member: called with the name of each member, to read its value.
  private mutating func object(
    _ member: (inout Self, String) throws(Failure) -> Void
  ) throws(Failure) {
    guard take("{") else { throw failure("an object") }
    if take("}") { return }
    repeat {
      let name = try string()
      guard take(":") else { throw failure("a colon") }
      try member(&self, name)
    } while take(",")
    guard take("}") else { throw failure("the end of an object") }
  }

  private mutating func string() throws(Failure) -> String {
    guard take("\"") else { throw failure("a string") }
    let start = position
    while bytes[position] != UInt8(ascii: "\"") {
      // Names in this layout need no escapes.
      guard bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\\") else {
        throw failure("a plain string")
      }
      position += 1
    }
    position += 1
    return String(decoding: bytes[start..<(position - 1)], as: UTF8.self)
  }

  private mutating func number() throws(Failure) -> Double {
    _ = next()
    let (value, length) = bytes.withUnsafeBytes { bytes -> (Double, Int) in
      guard let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else { return (0, 0) }
      var end: UnsafeMutablePointer<CChar>?
      let value = strtod(base + position, &end)
      return (value, end.map { UnsafePointer($0) - (base + position) } ?? 0)
    }
    guard length > 0 else { throw failure("a number") }
    position += length
    return value
  }

  /// Passes over any value.
  ///
  /// - Parameter depth: how many lists and objects it is in.
  private mutating func skip(depth: Int = 0) throws(Failure) {
    guard depth < 100 else { throw failure("less nesting") }
    switch next() {
    case UInt8(ascii: "{"): try object { (parser, _) throws(Failure) in try parser.skip(depth: depth + 1) }
    case UInt8(ascii: "["):
      position += 1
      if take("]") { return }
      repeat { try skip(depth: depth + 1) } while take(",")
      guard take("]") else { throw failure("the end of a list") }
    case UInt8(ascii: "\""): _ = try string()
    default: _ = try number()
    }
  }
}
