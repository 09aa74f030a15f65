import CDNNL
import Dispatch
import Synchronization

/// The threads that compute a model: as many as asked for, at most one a core.
struct Team: Sendable {
  let workers: Int

  /// Calls `body` with 0..<count, each once, on all threads, and returns when all calls have.
  ///
  /// Whatever a call writes is its own, so the results do not depend on the number of threads.
  func forEach(_ count: Int, _ body: (Int) -> Void) {
    let next = Atomic(0)
    withoutActuallyEscaping(body) { body in
      // The calls share nothing that they write.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: min(workers, count)) { _ in
        cdnnl_use_calling_thread()
        while true {
          let item = next.add(1, ordering: .relaxed).oldValue
          if item >= count { return }
          body(item)
        }
      }
    }
  }

  /// Likewise with stretches of 0..<count of a fixed length.
  func forEachStretch(of count: Int, length: Int = 1 << 16, _ body: (Int, Range<Int>) -> Void) {
    forEach((count + length - 1) / length) { stretch in
      body(stretch, (stretch * length)..<min(count, (stretch + 1) * length))
    }
  }
}
