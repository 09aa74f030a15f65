public import Corpus
import Glibc
import Synchronization

/// Threads that share out work which is all computation: one item at a time each, in order of the items.
public enum Workers {
  /// How many threads this process may use at once.
  public static var available: Int { Processors.available }

  /// Runs `body` on every thread at once and returns when all threads have ended.
  ///
  /// Ended, and not merely done: libraries that keep memory for each thread free it at a thread's very end, and
  /// must not be doing so while the process exits. Foundation's threads cannot be joined, so these are POSIX's.
  ///
  /// - Throws: the first error; the other threads finish what they are doing.
  public static func run(
    _ count: Int, _ body: @escaping @Sendable (_ worker: Int) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let failure = Mutex<CorpusError?>(nil)
    let threads = try WorkerThreads(count) { worker in
      do throws(CorpusError) {
        try body(worker)
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    threads.join()
    if let error = failure.withLock({ $0 }) { throw error }
  }
}

/// Threads that are started together and waited for together.
package struct WorkerThreads: ~Copyable {
  private var threads: [pthread_t] = []

  /// Starts threads; where the system gives fewer than `count`, those.
  ///
  /// - Throws: if there is not even one.
  package init(
    _ count: Int, _ body: @escaping @Sendable (_ worker: Int) -> Void
  ) throws(CorpusError) {
    for worker in 0..<count {
      if let thread = Self.start({ body(worker) }) {
        threads.append(thread)
      } else if threads.isEmpty {
        throw CorpusError(
          .resource, "no thread can be started", remedy: "raise `ulimit -u`, or end other work")
      }
    }
  }

  /// Returns when all threads have ended.
  package consuming func join() {
    for thread in threads { pthread_join(thread, nil) }
  }

  /// What a thread does, as an object that C can pass on.
  private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    if code == 0 { return thread }
    work.release()
    return nil
  }
}

/// Goes through items on several threads, each of which takes the next one when it is done with the one before.
///
/// - Parameters:
///   - workers: at most so many threads.
///   - state: what a thread keeps from item to item, such as a decoder; called once on each.
/// - Throws: the first error; the other threads then finish the item that they are at.
public func parallelForEach<Item: Sendable, State: ~Copyable>(
  _ items: [Item], workers: Int, state: @escaping @Sendable () throws(CorpusError) -> State,
  _ body: @escaping @Sendable (Item, inout State) throws(CorpusError) -> Void
) throws(CorpusError) {
  if items.isEmpty { return }
  let rest = Mutex(items[...])
  try Workers.run(max(1, min(workers, items.count))) { _ throws(CorpusError) in
    do throws(CorpusError) {
      var state = try state()
      while let item = rest.withLock({ $0.popFirst() }) { try body(item, &state) }
    } catch {
      rest.withLock { $0 = [] }
      throw error
    }
  }
}

/// Goes through items on several threads that keep nothing from item to item.
public func parallelForEach<Item: Sendable>(
  _ items: [Item], workers: Int, _ body: @escaping @Sendable (Item) throws(CorpusError) -> Void
) throws(CorpusError) {
  try parallelForEach(items, workers: workers, state: {}) { (item, _) throws(CorpusError) in try body(item) }
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
