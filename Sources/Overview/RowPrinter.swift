import TerminalOutput
package import MetricIndex
import Foundation

package enum RowFormat: String, CaseIterable {
  case table, csv, json
}

/// Prints the rows of a query as they come.
package struct RowPrinter {
  private let format: RowFormat
  private let output: (String) -> Void
  private var columns: [String] = []
  private var count = 0
  /// The first rows of a table, from which its widths follow.
  private var held: [[SQLValue]] = []
  private var widths: [Int] = []
  private var buffer = ""

  private static let heldRows = 1_000

  /// - Parameter output: takes what is to be printed, some lines at a time.
  package init(format: RowFormat, output: @escaping (String) -> Void = Console.write) {
    self.format = format
    self.output = output
  }

  package mutating func begin(columns: [String]) {
    self.columns = columns
    if columns.isEmpty { return }
    if format == .csv { write(columns.map(Self.csvField).joined(separator: ",") + "\n") }
    if format == .json { write("[") }
  }

  package mutating func add(_ row: [SQLValue]) {
    count += 1
    switch format {
    case .csv: write(row.map { Self.csvField($0.exact) }.joined(separator: ",") + "\n")
    case .json:
      let members = zip(columns, row).map { "\(Self.jsonString($0)): \(Self.json($1))" }
      write((count == 1 ? "\n  {" : ",\n  {") + members.joined(separator: ", ") + "}")
    case .table:
      if widths.isEmpty {
        held.append(row)
        if held.count == Self.heldRows { printHeldRows() }
      } else {
        write(line(row))
      }
    }
  }

  package mutating func end() {
    if columns.isEmpty { return }
    switch format {
    case .csv: break
    case .json: write(count == 0 ? "]\n" : "\n]\n")
    case .table: if widths.isEmpty { printHeldRows() }
    }
    flush()
  }

  private mutating func printHeldRows() {
    widths = columns.indices.map { column in
      held.reduce(max(columns[column].count, 1)) { max($0, $1[column].cell.count) }
    }
    let isNumber = columns.indices.map { column in held.first.map { $0[column].isNumber } ?? false }
    let titles = columns.indices.map { Self.pad(columns[$0], widths[$0], right: isNumber[$0]) }
    write(titles.joined(separator: "  ").trimmingTrailingSpaces + "\n")
    write(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  ") + "\n")
    for row in held { write(line(row)) }
    held = []
  }

  private func line(_ row: [SQLValue]) -> String {
    zip(row, widths).map { Self.pad($0.cell, $1, right: $0.isNumber) }.joined(separator: "  ")
      .trimmingTrailingSpaces + "\n"
  }

  private mutating func write(_ text: String) {
    buffer += text
    if buffer.utf8.count > 1 << 16 { flush() }
  }

  private mutating func flush() {
    output(buffer)
    buffer = ""
  }

  private static func pad(_ text: String, _ width: Int, right: Bool) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return right ? space + text : text + space
  }

  private static func csvField(_ text: String) -> String {
    // RFC 4180.
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  private static func json(_ value: SQLValue) -> String {
    switch value {
    case .null: "null"
    // JSON has no infinities.
    case .real(let number) where !number.isFinite: "null"
    case .integer, .real: value.exact
    case .text(let text): jsonString(text)
    case .blob: jsonString(value.exact)
    }
  }

  private static func jsonString(_ text: String) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
  }
}

extension SQLValue {
  /// The value in a table: NULL in words, and no characters that would move the cursor.
  fileprivate var cell: String {
    if case .null = self { return "NULL" }
    return String(
      short.map { $0.unicodeScalars.contains { $0.properties.generalCategory == .control } ? "·" : $0 })
  }

  /// The value with all its digits; blobs in hexadecimal.
  fileprivate var exact: String {
    switch self {
    case .real(let value): "\(value)"
    case .blob(let bytes): bytes.map { String(format: "%02x", $0) }.joined()
    default: short
    }
  }

  fileprivate var isNumber: Bool {
    switch self {
    case .integer, .real: true
    default: false
    }
  }
}

extension String {
  fileprivate var trimmingTrailingSpaces: String {
    String(self[..<(lastIndex { $0 != " " }.map { index(after: $0) } ?? startIndex)])
  }
}
