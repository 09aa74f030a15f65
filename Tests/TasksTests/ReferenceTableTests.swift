import Foundation
import Testing

/// Schemas/reference.md: the functions and tests that it names are there.
@Suite struct ReferenceTableTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The texts of all files below a directory, by their names.
  private static func texts(below directory: String) throws -> [String: String] {
    let names = FileManager.default.enumerator(atPath: root.appendingPathComponent(directory).path)
    var result: [String: String] = [:]
    for case let name as String in try #require(names) where name.hasSuffix(".swift") || name.hasSuffix(".h")
    {
      let url = root.appendingPathComponent(directory).appendingPathComponent(name)
      result[url.lastPathComponent, default: ""] += try String(contentsOf: url, encoding: .utf8)
    }
    return result
  }

  /// The rows of the tables whose last columns are "where" and "test": what is in these two.
  private static func rows() throws -> [(rule: String, places: String, tests: String)] {
    let text = try String(contentsOf: root.appendingPathComponent("Schemas/reference.md"), encoding: .utf8)
    var rows: [(String, String, String)] = []
    var isTable = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
        .map { $0.trimmingCharacters(in: .whitespaces) }
      if cells.suffix(2) == ["where", "test"] { isTable = true; continue }
      guard isTable, cells.count >= 4 else { isTable = false; continue }
      if cells[0].hasPrefix("---") { continue }
      rows.append((cells[0], cells[cells.count - 2], cells[cells.count - 1]))
    }
    return rows
  }

  @Test func `every rule has a place and a test, and all of them exist`() throws {
    let sources = try Self.texts(below: "Sources")
    let tests = try Self.texts(below: "Tests")
    let suites = tests.values.joined(separator: "\n")
    let rows = try Self.rows()
    #expect(rows.count > 60)
    for (rule, places, names) in rows {
      for place in places.components(separatedBy: "; ") {
        let match = try #require(
          try /`([A-Za-z0-9_.+]+)`: `([A-Za-z0-9_]+)`/.wholeMatch(in: place), "\(rule): \(place)")
        let text = try #require(sources[String(match.1)], "\(rule): there is no \(match.1)")
        #expect(text.contains(String(match.2)), "\(rule): \(match.1) has no \(match.2)")
      }
      for name in names.components(separatedBy: "; ") {
        let match = try #require(
          try /`([A-Za-z0-9]+)`: ([^`]+?)(?:, `([A-Za-z0-9]+)`)?/.wholeMatch(in: name), "\(rule): \(name)")
        let suite = try #require(
          suites.range(of: "@Suite struct \(match.1) ").map { suites[$0.upperBound...] },
          "\(rule): there is no suite \(match.1)")
        // To the end of the suite, where the next one may begin.
        let body = suite.range(of: "@Suite ").map { suite[..<$0.lowerBound] } ?? suite
        #expect(
          body.contains("func `\(match.2)`(") || body.contains("func \(match.2)("),
          "\(rule): \(match.1) has no test \(match.2)")
        if let rule = match.3 {
          // A case of the rules that a test breaks one by one: declared, and heeded.
          let declared = try Regex("case [^\\n]*\\b\(rule)\\b")
          let heeded = try Regex("broken [=!]= \\.\(rule)\\b|case \\.\(rule):")
          let files = tests.filter { $0.key.hasPrefix("Naive") }.values
          #expect(
            files.contains { $0.contains(declared) && $0.contains(heeded) }, "no rule is called \(rule)")
        }
      }
    }
  }
}
