import CLinux
package import Corpus
package import Dispatch
import Glibc

/// What the commands write to the terminal, and what they hear from it.
package enum Console {
  package static func write(_ text: String) { write(Array(text.utf8)) }

  package static func write(_ bytes: [UInt8]) { put(bytes, to: STDOUT_FILENO) }

  package static func print(_ line: String) { write(line + "\n") }

  /// A line beside the results: on standard error, so that results can be piped.
  package static func note(_ line: String) { put(Array((line + "\n").utf8), to: STDERR_FILENO) }

  package static func noteWithoutNewline(_ text: String) { put(Array(text.utf8), to: STDERR_FILENO) }

  package static func complain(_ error: CorpusError) { note("corpus: \(error)") }

  /// The columns of the terminal that notes go to.
  package static var width: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  private static func put(_ bytes: [UInt8], to fd: Int32) {
    var bytes = bytes[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      guard count >= 0 || errno == EINTR else {
        // There is nowhere left to complain where standard error is gone.
        if fd == STDERR_FILENO { return }
        failOutput(String(cString: strerror(errno)))
      }
      bytes = bytes.dropFirst(max(count, 0))
    }
  }

  /// Ends the process, as its output cannot be complete.
  package static func failOutput(_ cause: String) -> Never {
    note("corpus: cannot write the output (\(cause)): what was printed is not complete")
    exit(1)
  }

  /// Calls `stop` at the first Ctrl-C, SIGTERM or SIGHUP (the terminal is gone); a later one ends the process at once.
  /// Signals that the process was started to ignore, as by nohup, stay ignored.
  ///
  /// Of two such handlers only one would hear a signal: a command has one.
  ///
  /// - Returns: what must be kept alive for as long as signals are to be heard.
  package static func onInterrupt(_ stop: @escaping @Sendable () -> Void) -> [any DispatchSourceSignal] {
    [SIGINT, SIGTERM, SIGHUP].filter { clinux_is_ignored($0) == 0 }.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      let requests = Requests()
      source.setEventHandler {
        if requests.isAgain() { _exit(128 + number) }
        stop()
      }
      source.resume()
      return source
    }
  }

  private final class Requests: @unchecked Sendable {
    // Used by one dispatch source only, whose handler never runs twice at once.
    private var first: ContinuousClock.Instant?

    /// Whether somebody asks for the second time. `timeout` sends each signal twice: to the process, and to its group.
    func isAgain() -> Bool {
      guard let first else {
        first = .now
        return false
      }
      return .now - first > .milliseconds(500)
    }
  }
}
