import Foundation

/// Numbers as people read them.
package enum Format {
  /// 1234567 as "1,234,567".
  package static func count(_ number: Int) -> String {
    let digits = Array(String(abs(number)))
    var text = number < 0 ? "-" : ""
    for (position, digit) in digits.enumerated() {
      if position > 0 && (digits.count - position).isMultiple(of: 3) { text += "," }
      text.append(digit)
    }
    return text
  }

  /// "1 run", "2 runs".
  package static func count(_ number: Int, _ thing: String) -> String {
    "\(count(number)) \(thing)\(number == 1 ? "" : "s")"
  }

  package static func bytes(_ number: Int) -> String {
    var value = Double(number)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
      if value < 1000 || unit == "TB" { return fixed(value, unit == "B" ? 0 : 1) + " " + unit }
      value /= 1000
    }
    return ""
  }

  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e7 else { return "?" }
    let total = Int(seconds.rounded())
    if total < 60 { return "\(total) s" }
    if total < 3600 { return "\(total / 60) min \(total % 60) s" }
    return "\(total / 3600) h \(total % 3600 / 60) min"
  }

  /// A line of a list of facts.
  package static func fact(_ name: String, _ value: String) -> String {
    name.padding(toLength: 14, withPad: " ", startingAt: 0) + value
  }

  package static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  /// Six significant digits, as in tables and charts.
  package static func short(_ value: Double) -> String { String(format: "%.6g", value) }

  package static func ratio(raw: Int, stored: Int) -> String {
    stored == 0 ? "nothing" : fixed(Double(raw) / Double(stored), 2) + "x"
  }
}
