/// A curve drawn in Braille dots, two by four a character.
package struct TerminalChart {
  /// Several lines, each ended.
  package let text: String

  /// A terminal of 80 columns wraps what fills them.
  private static let width = 79
  private static let lines = 14

  /// The eight dots of a Braille character by column and row, as Unicode numbers them.
  private static let dots: [[UInt32]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]

  package init(points: [(x: Double, y: Double)], xLabel: String, yLabel: String) {
    guard let xMin = points.map(\.x).min(), let xMax = points.map(\.x).max(),
      let yMin = points.map(\.y).min(),
      let yMax = points.map(\.y).max()
    else {
      text = "(\(yLabel) has no finite values to draw)\n"
      return
    }
    let labels = (top: Format.short(yMax), bottom: Format.short(yMin))
    let margin = max(labels.top.count, labels.bottom.count)
    let columns = Self.width - margin - 2
    var cells = [[UInt32]](repeating: [UInt32](repeating: 0, count: columns), count: Self.lines)
    let width = Double(2 * columns - 1)
    let height = Double(4 * Self.lines - 1)
    func dot(_ x: Double, _ y: Double) {
      let column = Int((width * (xMax > xMin ? (x - xMin) / (xMax - xMin) : 0.5)).rounded())
      let row = Int((height * (yMax > yMin ? (yMax - y) / (yMax - yMin) : 0.5)).rounded())
      cells[row / 4][column / 2] |= Self.dots[column % 2][row % 4]
    }
    for (a, b) in zip(points, points.dropFirst()) {
      let steps = 64
      for i in 0...steps {
        let t = Double(i) / Double(steps)
        dot(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y))
      }
    }
    if points.count == 1 { dot(points[0].x, points[0].y) }

    func padded(_ label: String) -> String { String(repeating: " ", count: margin - label.count) + label }
    var text = padded("") + "  \(yLabel)\n"
    for (line, row) in cells.enumerated() {
      let label = line == 0 ? labels.top : line == Self.lines - 1 ? labels.bottom : ""
      let curve = String(String.UnicodeScalarView(row.compactMap { Unicode.Scalar(0x2800 + $0) }))
      text += padded(label) + (label.isEmpty ? " │" : " ┤") + curve + "\n"
    }
    text += padded("") + " └" + String(repeating: "─", count: columns) + "\n"
    let (left, right) = (Format.short(xMin), Format.short(xMax))
    let middle = max(1, columns - left.count - right.count - xLabel.count)
    let space = String(repeating: " ", count: middle / 2)
    text +=
      padded("") + "  " + left + space + xLabel + space + (middle.isMultiple(of: 2) ? "" : " ") + right + "\n"
    self.text = text
  }
}
