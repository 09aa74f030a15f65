import Platform
import Corpus

/// What `runs.json` says of the checkpoints of a run: for each key, its metrics by name.
///
/// The numbers in it may be NaN or Infinity, as Python writes them.
package struct ReleasedRecord {
  package let checkpoints: [String: [String: Double]]

  /// Reads the file of a directory.
  ///
  /// - Parameter runs: the runs that the directory's name says. Where it is several, or the file is written so, the
  ///   record of each is a member of its own.
  /// - Returns: the records by run; some may be missing.
  static func read(folder: String, runs: [String]) throws(CorpusError) -> [String: ReleasedRecord] {
    let path = "\(folder)/runs.json"
    guard Files.exists(path) else {
      throw CorpusError(.malformedRelease, "\(folder) has no runs.json", remedy: "fetch it again")
    }
    let file = try Descriptor(opening: path, 0)
    var bytes = [UInt8](repeating: 0, count: Int(try Files.size(path)))
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
    }
    do throws(ReleasedRecordParser.Failure) {
      var records = try ReleasedRecordParser.records(in: bytes)
      if let only = records.removeValue(forKey: ""), runs.count == 1 { records[runs[0]] = only }
      return records
    } catch {
      throw CorpusError(
        .malformedRelease, "\(path) is not what the released layout says", remedy: "fetch it again",
        cause: error.reason)
    }
  }
}

/// JSON as Python's `json.dump(…, indent=2, sort_keys=True)` writes it, NaN and Infinity included.
package indirect enum PythonJSON {
  case number(Double)
  case list([Double])
  case object([String: PythonJSON])

  package func text(indent: Int = 0) -> String {
    let margin = String(repeating: " ", count: indent + 2)
    let end = "\n" + String(repeating: " ", count: indent)
    switch self {
    case .number(let value): return Self.text(of: value)
    case .list(let values):
      if values.isEmpty { return "[]" }
      return "[\n" + values.map { margin + Self.text(of: $0) }.joined(separator: ",\n") + end + "]"
    case .object(let members):
      if members.isEmpty { return "{}" }
      return "{\n"
        + members.sorted { $0.key < $1.key }
        .map { "\(margin)\"\($0)\": \($1.text(indent: indent + 2))" }.joined(separator: ",\n") + end + "}"
    }
  }

  private static func text(of value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    return "\(value)"
  }
}
