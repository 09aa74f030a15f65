import CDNNL
import Dispatch
import Synchronization

/// The threads that compute a model: as many as asked for, at most one a core.
package struct ThreadPool: Sendable {
  let workers: Int

  package init(workers: Int) { self.workers = workers }

  /// Calls `body` with 0..<count, each once, on all threads, and returns when all calls have.
  ///
  /// Whatever a call writes is its own, so the results do not depend on the number of threads.
  package func forEach(_ count: Int, _ body: (Int) -> Void) {
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

  /// Cuts 0..<count into slices of a fixed length, calls `body` with the index and the bounds of each on all threads, and
  /// returns when all calls have.
  package func forEachSlice(of count: Int, length: Int = 1 << 16, _ body: (Int, Range<Int>) -> Void) {
    forEach((count + length - 1) / length) { slice in
      body(slice, (slice * length)..<min(count, (slice + 1) * length))
    }
  }
}
