package import Platform
import Dispatch

/// What every long command does beside its work: show how far it is, and stop at Ctrl-C.
///
/// The command calls ``end()`` when it is done, however that came about.
package final class LongWork {
  package let cancellation = Cancellation()
  package let display: ProgressDisplay
  private let signals: [any DispatchSourceSignal]

  /// - Parameter stop: what else ends the work at Ctrl-C, where that cannot look at ``cancellation``.
  package init(_ title: String, quiet: Bool, stop: @escaping @Sendable () -> Void = {}) {
    display = ProgressDisplay(title, quiet: quiet)
    signals = Console.onInterrupt { [cancellation] in
      cancellation.cancel()
      stop()
    }
  }

  /// Ends the progress line, so that what is printed next stands below it.
  package func end() { display.finish() }
}
