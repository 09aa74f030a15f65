import ShardStore
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
    // Asked once a shard: names are looked at slowly.
    let isSealed = table.shards.map { CorpusDirectory.isSealed($0.path) }
    var starts: [Int] = []
    var bytes = 0
    for (place, run) in self.runs.enumerated() {
      let row = table.rows[Int(run)]
      let size = table.shards[Int(row.shard)].bytesPerRun
      let isElsewhere = place > 0 && table.rows[Int(self.runs[place - 1])].shard != row.shard
      // Files of single runs lie together as far as anyone can tell.
      if place == 0 || (isElsewhere && isSealed[Int(row.shard)]) || bytes + size > Self.bytes {
        starts.append(place)
        bytes = 0
      }
      bytes += size
    }
    self.starts = starts + [self.runs.count]
  }

  var count: Int { starts.count - 1 }

  /// The runs of a stretch.
  subscript(stretch: Int) -> ArraySlice<Int32> { runs[range(stretch)] }

  /// The places of a stretch's runs in ``runs``.
  func range(_ stretch: Int) -> Range<Int> { starts[stretch]..<starts[stretch + 1] }
}

/// The order in which an epoch goes through the stretches: some of them at a time make a window, in which all visits
/// of all runs are shuffled.
struct StretchOrder: Sendable {
  let stretches: Stretches
  private let order: KeyedPermutation
  private let visits: RunVisits
  /// What the runs before each window weigh, and one more entry at the end.
  private let weightsBefore: [Double]
  /// How many places of the epoch the windows before each one have, and one more entry at the end.
  private let placesBefore: [Int]

  init(_ stretches: Stretches, order: KeyedPermutation, visits: RunVisits) {
    self.stretches = stretches
    self.order = order
    self.visits = visits
    var weights = [0.0]
    for first in stride(from: 0, to: stretches.count, by: Stretches.perWindow) {
      let end = min(first + Stretches.perWindow, stretches.count)
      weights.append(
        (first..<end).reduce(weights[weights.count - 1]) { $0 + visits.weight(stretches.range(order[$1])) })
    }
    weightsBefore = weights
    var places = weights.map { visits.places(before: $0) }
    // Of sums in another order, which may have been rounded otherwise.
    places[places.count - 1] = visits.places
    placesBefore = places
  }

  /// The number of windows.
  var count: Int { placesBefore.count - 1 }

  /// The stretches of a window.
  func window(_ window: Int) -> [Int] {
    let first = window * Stretches.perWindow
    return (first..<min(first + Stretches.perWindow, stretches.count)).map { order[$0] }
  }

  /// The window that a place of the epoch falls into.
  func window(at place: Int) -> Int {
    var (low, high) = (0, count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if placesBefore[middle] <= place { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// The run at a place, as its place in the order of the stretches.
  ///
  /// - Parameter key: the seed and stream of a window's permutation.
  func run(at place: Int, key: (Int) -> (seed: UInt64, stream: UInt64)) -> Int {
    let window = window(at: place)
    let (seed, stream) = key(window)
    let first = placesBefore[window]
    let permutation = KeyedPermutation(
      count: placesBefore[window + 1] - first, seed: seed, stream: stream)
    let slot = permutation[place - first]
    var weight = visits.weight(
      of: slot, first: first, weights: (weightsBefore[window], weightsBefore[window + 1]))
    let parts = self.window(window)
    for (number, stretch) in parts.enumerated() {
      let runs = stretches.range(stretch)
      let ofStretch = visits.weight(runs)
      if weight < ofStretch || number == parts.count - 1 { return visits.run(at: weight, in: runs) }
      weight -= ofStretch
    }
    preconditionFailure("a window has stretches")
  }
}
