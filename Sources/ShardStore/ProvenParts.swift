import Synchronization

/// Which parts of a file have been proven since it was opened: those that were used. Any number of threads may ask.
package struct ProvenParts: ~Copyable, @unchecked Sendable {
  // Sendable because the words are atomic.
  private let words: UnsafeMutableBufferPointer<Atomic<UInt64>>

  package init(count: Int) {
    words = .allocate(capacity: (count + 63) / 64)
    for i in words.indices { words.initializeElement(at: i, to: Atomic(0)) }
  }

  deinit {
    words.deinitialize()
    words.deallocate()
  }

  package func contains(_ part: Int) -> Bool {
    words[part / 64].load(ordering: .relaxed) >> UInt64(part % 64) & 1 == 1
  }

  package func insert(_ part: Int) {
    words[part / 64].bitwiseOr(1 << UInt64(part % 64), ordering: .relaxed)
  }
}
