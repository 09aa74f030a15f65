import Corpus
import Synchronization

/// Which runs of a selection have checkpoints in which cells of the metric: a bit each.
///
/// It is found out some runs at a time, when somebody first asks for one of them, so that opening a stream reads no
/// metrics. What is known changes nothing but the time.
final class RunCoverage: @unchecked Sendable {
  // Sendable because the bits of a group are written once, under the lock, before it is said that they are there.
  /// Runs of a group, which are found out together.
  static let group = 64

  let groups: Int
  private let cells: Int
  /// For each group and cell, a bit a run.
  private let bits: UnsafeMutablePointer<UInt64>
  private let isKnown: UnsafeMutablePointer<Atomic<Bool>>
  private let lock = Mutex(())

  init(runs: Int, cells: Int) {
    groups = (runs + Self.group - 1) / Self.group
    self.cells = cells
    bits = .allocate(capacity: groups * cells)
    isKnown = .allocate(capacity: groups)
    for group in 0..<groups { (isKnown + group).initialize(to: Atomic(false)) }
  }

  deinit {
    isKnown.deinitialize(count: groups)
    isKnown.deallocate()
    bits.deallocate()
  }

  /// The runs of a group that have checkpoints in a cell, if that is known already.
  func known(_ group: Int, _ cell: Int) -> UInt64? {
    isKnown[group].load(ordering: .acquiring) ? bits[group * cells + cell] : nil
  }

  /// The runs of a group that have checkpoints in a cell, which are found out if they are not known.
  ///
  /// - Parameter find: gives the cells of a group's runs: for each cell, a bit a run.
  func runs(
    _ group: Int, _ cell: Int, find: () throws(CorpusError) -> [UInt64]
  ) throws(CorpusError) -> UInt64 {
    if let known = known(group, cell) { return known }
    try lock.withLock { (_) throws(CorpusError) in
      if isKnown[group].load(ordering: .relaxed) { return }
      let found = try find()
      (bits + group * cells).initialize(from: found, count: cells)
      isKnown[group].store(true, ordering: .releasing)
    }
    return bits[group * cells + cell]
  }
}
