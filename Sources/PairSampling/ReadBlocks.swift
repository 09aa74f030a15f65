import ShardStore
import MetricIndex

/// The runs cut into blocks that lie together in one shard and are read at once.
package struct ReadBlocks: Sendable {
  /// Indexes into the table, in the order in which the runs are stored.
  let runs: [Int32]
  /// Where each block begins in ``runs``, and one more entry at the end.
  let starts: [Int]

  /// About how many bytes a block has: enough for a disk to forget the seek before it.
  static let bytes = 16 << 20
  /// How many blocks make a shuffle window.
  static let perWindow = 16

  init(_ table: RunTable, runs: [Int32]) {
    self.runs = runs.sorted { a, b in
      let (x, y) = (table.rows[Int(a)], table.rows[Int(b)])
      return (x.shard, x.firstRow, x.run) < (y.shard, y.firstRow, y.run)
    }
    // Asked once a shard: names are looked at slowly.
    let isSealed = table.shards.map { CorpusDirectory.isSealed($0.path) }
    var starts: [Int] = []
    var bytes = 0
    for (position, run) in self.runs.enumerated() {
      let row = table.rows[Int(run)]
      let size = table.shards[Int(row.shard)].bytesPerRun
      let isElsewhere = position > 0 && table.rows[Int(self.runs[position - 1])].shard != row.shard
      // Files of single runs lie together as far as anyone can tell.
      if position == 0 || (isElsewhere && isSealed[Int(row.shard)]) || bytes + size > Self.bytes {
        starts.append(position)
        bytes = 0
      }
      bytes += size
    }
    self.starts = starts + [self.runs.count]
  }

  var count: Int { starts.count - 1 }

  /// The runs of a block, as indexes into the table.
  package subscript(block: Int) -> ArraySlice<Int32> { runs[range(block)] }

  /// The positions of a block's runs in ``runs``.
  func range(_ block: Int) -> Range<Int> { starts[block]..<starts[block + 1] }
}

/// The order in which an epoch goes through the read blocks: some of them at a time make a shuffle window, in which all
/// visits of all runs are shuffled.
package struct ReadBlockOrder: Sendable {
  package let blocks: ReadBlocks
  private let order: KeyedPermutation
  private let visits: RunVisits
  /// What the runs before each window weigh, and one more entry at the end.
  private let weightsBefore: [Double]
  /// How many visits of the epoch the windows before each one have, and one more entry at the end.
  private let visitsBefore: [Int]

  init(_ blocks: ReadBlocks, order: KeyedPermutation, visits: RunVisits) {
    self.blocks = blocks
    self.order = order
    self.visits = visits
    var weights = [0.0]
    for first in stride(from: 0, to: blocks.count, by: ReadBlocks.perWindow) {
      let end = min(first + ReadBlocks.perWindow, blocks.count)
      weights.append(
        (first..<end).reduce(weights[weights.count - 1]) { $0 + visits.weight(blocks.range(order[$1])) })
    }
    weightsBefore = weights
    var counts = weights.map { visits.count(before: $0) }
    // Of sums in another order, which may have been rounded otherwise.
    counts[counts.count - 1] = visits.count
    visitsBefore = counts
  }

  /// The number of shuffle windows.
  package var windowCount: Int { visitsBefore.count - 1 }

  /// The read blocks of a shuffle window.
  package func blocks(ofWindow window: Int) -> [Int] {
    let first = window * ReadBlocks.perWindow
    return (first..<min(first + ReadBlocks.perWindow, blocks.count)).map { order[$0] }
  }

  /// The shuffle window that a visit of the epoch falls into.
  func window(at visit: Int) -> Int {
    var (low, high) = (0, windowCount - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if visitsBefore[middle] <= visit { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The run of a visit, as its position in the order in which the runs are stored.
  ///
  /// - Parameter key: the seed and stream of a shuffle window's permutation.
  func run(at visit: Int, key: (Int) -> (seed: UInt64, stream: UInt64)) -> Int {
    let window = window(at: visit)
    let (seed, stream) = key(window)
    let first = visitsBefore[window]
    let permutation = KeyedPermutation(count: visitsBefore[window + 1] - first, seed: seed, stream: stream)
    let shuffled = permutation[visit - first]
    var weight = visits.weight(
      of: shuffled, first: first, weights: (weightsBefore[window], weightsBefore[window + 1]))
    let ofWindow = blocks(ofWindow: window)
    for (number, block) in ofWindow.enumerated() {
      let runs = blocks.range(block)
      let ofBlock = visits.weight(runs)
      if weight < ofBlock || number == ofWindow.count - 1 { return visits.run(at: weight, in: runs) }
      weight -= ofBlock
    }
    preconditionFailure("a window has blocks")
  }
}
