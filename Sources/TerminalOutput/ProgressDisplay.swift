import Glibc
import Foundation
import Synchronization

/// How far long work has come, on standard error: a bar that redraws itself on a terminal, now and then a plain
/// line elsewhere, nothing if quiet.
package final class ProgressDisplay: Sendable {
  private struct State {
    var lastDrawn = Date.distantPast
    var isLineOpen = false
    var firstDone: Int?
  }

  private let title: String
  private let isQuiet: Bool
  private let isTerminal: Bool
  private let began = Date()
  private let state = Mutex(State())

  package init(_ title: String, quiet: Bool) {
    self.title = title
    isQuiet = quiet
    isTerminal = isatty(STDERR_FILENO) == 1
  }

  package var elapsed: Double { max(Date().timeIntervalSince(began), 1e-3) }

  /// Shows that `done` of `total` units are done.
  ///
  /// - Parameters:
  ///   - details: what else there is to say, such as a rate; called only when it is shown.
  ///   - force: show it even if something was shown just now.
  package func update(_ done: Int, of total: Int, unit: String, force: Bool = false, details: () -> [String])
  {
    if isQuiet { return }
    state.withLock { state in
      let first = state.firstDone ?? done
      state.firstDone = first
      let interval = isTerminal ? 0.1 : 10
      guard force || done == total || Date().timeIntervalSince(state.lastDrawn) >= interval else { return }
      state.lastDrawn = Date()
      var parts = ["\(Format.count(done))/\(Format.count(total)) \(unit)"] + details()
      if done > first && done < total {
        let left = elapsed / Double(done - first) * Double(total - done)
        parts.append("\(Format.duration(left)) left")
      }
      let text = parts.joined(separator: "  ")
      if isTerminal {
        // A line that wraps could not be drawn over; where the terminal is narrow, the bar gives way.
        let room = Console.width - title.count - text.count - 5
        let drawn = room < 4 ? "" : bar(done, total, width: min(room, 24)) + " "
        Console.noteWithoutNewline("\r\u{1B}[K" + "\(title) \(drawn)\(text)".prefix(Console.width - 1))
        state.isLineOpen = true
      } else {
        Console.note("\(title): \(text)")
      }
    }
  }

  /// Prints a line of results, in place of the bar until that is drawn again.
  package func print(_ line: String) {
    if isQuiet { return }
    state.withLock { state in
      if state.isLineOpen { Console.noteWithoutNewline("\r\u{1B}[K") }
      state.isLineOpen = false
      Console.print(line)
    }
  }

  /// Ends the bar's line, so that what follows stands below it.
  package func finish() {
    state.withLock { state in
      if state.isLineOpen { Console.note("") }
      state.isLineOpen = false
    }
  }

  private func bar(_ done: Int, _ total: Int, width: Int) -> String {
    let eighths = total == 0 ? 8 * width : 8 * width * done / total
    let full = String(repeating: "█", count: eighths / 8)
    let part = eighths % 8 == 0 ? "" : String(["▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8 - 1])
    return "▕" + (full + part).padding(toLength: width, withPad: " ", startingAt: 0) + "▏"
  }
}
