import Corpus
import MetricIndex

/// The runs cut into stretches that lie together in one shard and are read at once.
struct Stretches: Sendable {
  /// Places in the table, in the order in which the runs are stored.
  let runs: [Int32]
  /// Where each stretch begins in ``runs``, and one more entry at the end.
  let starts: [Int]

  /// About how many bytes a stretch has: enough for a disk to forget the seek before it.
  static let bytes = 16 << 20
  /// How many stretches are shuffled among each other.
  static let perWindow = 16

  init(_ table: RunTable, runs: [Int32]) {
    self.runs = runs.sorted { a, b in
      let (x, y) = (table.rows[Int(a)], table.rows[Int(b)])
      return (x.shard, x.firstRow, x.run) < (y.shard, y.firstRow, y.run)
    }
    var starts: [Int] = []
    var bytes = 0
    for (place, run) in self.runs.enumerated() {
      let row = table.rows[Int(run)]
      let size = table.shards[Int(row.shard)].bytesPerRun
      let isElsewhere = place > 0 && table.rows[Int(self.runs[place - 1])].shard != row.shard
      // Files of single runs lie together as far as anyone can tell.
      let isSealed = CorpusDirectory.isSealed(table.shards[Int(row.shard)].path)
      if place == 0 || (isElsewhere && isSealed) || bytes + size > Self.bytes {
        starts.append(place)
        bytes = 0
      }
      bytes += size
    }
    self.starts = starts + [self.runs.count]
  }

  var count: Int { starts.count - 1 }

  /// The runs of a stretch.
  subscript(stretch: Int) -> ArraySlice<Int32> { runs[starts[stretch]..<starts[stretch + 1]] }
}

/// The order in which an epoch goes through the stretches: some of them at a time make a window, in which all visits
/// of all runs are shuffled.
struct StretchOrder: Sendable {
  let stretches: Stretches
  private let order: KeyedPermutation
  /// How many runs the windows before each one have, and one more entry at the end.
  private let runsBefore: [Int]

  init(_ stretches: Stretches, order: KeyedPermutation) {
    self.stretches = stretches
    self.order = order
    var runsBefore = [0]
    for first in stride(from: 0, to: stretches.count, by: Stretches.perWindow) {
      let end = min(first + Stretches.perWindow, stretches.count)
      runsBefore.append(
        runsBefore[runsBefore.count - 1] + (first..<end).reduce(0) { $0 + stretches[order[$1]].count })
    }
    self.runsBefore = runsBefore
  }

  /// The number of windows.
  var count: Int { runsBefore.count - 1 }

  /// The stretches of a window.
  func window(_ window: Int) -> [Int] {
    let first = window * Stretches.perWindow
    return (first..<min(first + Stretches.perWindow, stretches.count)).map { order[$0] }
  }

  /// The window that a place of the epoch falls into.
  func window(at place: Int, visits: Int) -> Int {
    let run = place / visits
    var (low, high) = (0, count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if runsBefore[middle] <= run { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The run at a place, as its place in the table.
  ///
  /// - Parameter key: the seed and stream of a window's permutation.
  func run(at place: Int, visits: Int, key: (Int) -> (seed: UInt64, stream: UInt64)) -> Int32 {
    let window = window(at: place, visits: visits)
    let count = runsBefore[window + 1] - runsBefore[window]
    let (seed, stream) = key(window)
    let permutation = KeyedPermutation(count: count * visits, seed: seed, stream: stream)
    var run = permutation[place - runsBefore[window] * visits] % count
    for stretch in self.window(window) {
      let runs = stretches[stretch]
      if run < runs.count { return runs[runs.startIndex + run] }
      run -= runs.count
    }
    preconditionFailure("a window has as many runs as its stretches")
  }
}
