/// Columns of text, padded to the widest cell of each.
package enum TextTable {
  /// Cells as wide as the widest of their columns; all rows have as many.
  ///
  /// - Parameter numbers: the columns that are aligned on the right.
  package static func cells(_ rows: [[String]], numbers: ClosedRange<Int>) -> [[String]] {
    let widths = (rows.first ?? []).indices.map { column in rows.reduce(0) { max($0, $1[column].count) } }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return numbers.contains(column) ? space + cell : cell + space
      }
    }
  }

  /// The lines of some rows.
  package static func lines(_ rows: [[String]], numbers: ClosedRange<Int>) -> [String] {
    cells(rows, numbers: numbers).map { row in
      var line = row.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
