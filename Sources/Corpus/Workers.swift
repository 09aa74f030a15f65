import Foundation
import Synchronization

/// Threads that share out work which is all computation: one item at a time each, in order of the items.
public enum Workers {
  /// How many threads this process may use at once.
  public static var available: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Runs `body` on every thread at once and returns when all have returned.
  ///
  /// - Throws: the first error; the other threads finish what they are doing.
  public static func run(
    _ count: Int, _ body: @escaping @Sendable (_ worker: Int) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let failure = Mutex<CorpusError?>(nil)
    let group = DispatchGroup()
    for worker in 0..<count {
      group.enter()
      let thread = Thread {
        do throws(CorpusError) {
          try body(worker)
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
        group.leave()
      }
      thread.stackSize = 4 << 20
      thread.start()
    }
    group.wait()
    if let error = failure.withLock({ $0 }) { throw error }
  }
}

/// Items handed out to workers one by one.
public final class WorkQueue<Item: Sendable>: Sendable {
  private let items: Mutex<ArraySlice<Item>>

  public init(_ items: [Item]) { self.items = Mutex(items[...]) }

  /// The next item, or nil when none is left.
  public func next() -> Item? { items.withLock { $0.popFirst() } }
}

/// A wish to stop, from Ctrl-C or from a failure elsewhere, that long work looks at now and then.
public final class Cancellation: Sendable {
  private let flag = Atomic(false)

  public init() {}

  public func cancel() { flag.store(true, ordering: .relaxed) }

  public var isCancelled: Bool { flag.load(ordering: .relaxed) }

  /// - Throws: `interrupted` if someone wishes to stop.
  public func check() throws(CorpusError) {
    if isCancelled {
      throw CorpusError(
        .interrupted, "stopped on request", remedy: "run the same command again to go on where it was")
    }
  }
}
