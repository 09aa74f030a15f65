import CLinux
import Foundation
import Glibc

/// Text on standard output that changes: drawn over what it was on a terminal, elsewhere a line at a time.
package final class LiveText {
  package let isTerminal = isatty(STDOUT_FILENO) == 1
  private var height = 0

  package init() {}

  /// Shows these lines in place of those before.
  package func show(_ lines: [String]) {
    // A line that wraps could not be drawn over.
    let width = Console.width - 1
    let above = height == 0 ? "" : "\u{1B}[\(height)A"
    Console.write("\r\(above)\u{1B}[J" + lines.map { $0.prefix(width) + "\n" }.joined())
    height = lines.count
  }

  /// A line of a log, with the time.
  package func log(_ line: String) {
    Console.print("\(Date().formatted(.iso8601.dateTimeSeparator(.space)))  \(line)")
  }
}
