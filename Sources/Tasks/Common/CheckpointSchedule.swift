package import Corpus

/// The iterations after which a run's checkpoints are taken.
package enum CheckpointSchedule {
  /// How many checkpoints rule ``CheckpointRule/metric`` chooses each of its own from.
  package static let candidates = 4

  /// Iteration 0, `count` - 2 distinct iterations drawn uniformly from 1..<last, and the last; ascending.
  ///
  /// - Precondition: 2 <= `count` <= `last` + 1.
  package static func iterations(count: Int, last: Int, random: inout PhiloxGenerator) -> [Int32] {
    precondition(count >= 2 && count <= last + 1)
    var chosen: [Int32] = [0]
    // Each iteration in turn is taken with the probability that leaves all subsets equally likely (Knuth's
    // algorithm S), which gives them in order.
    var wanted = UInt32(count - 2)
    for iteration in 1..<max(1, last) {
      if random.integer(below: UInt32(last - iteration)) < wanted {
        chosen.append(Int32(iteration))
        wanted -= 1
      }
    }
    chosen.append(Int32(last))
    return chosen
  }

  /// Iteration 0, `count` - 2 distinct iterations of 1..<last, and the last; ascending. They are drawn one after the
  /// other, iteration i of those that are left with weight floor(2^40 / i).
  ///
  /// Whole numbers, so that every machine has the same sums.
  ///
  /// - Precondition: 2 <= `count` <= `last` + 1.
  package static func logarithmic(count: Int, last: Int, random: inout PhiloxGenerator) -> [Int32] {
    precondition(count >= 2 && count <= last + 1 && last <= Int(Int32.max))
    // A tree of sums (Fenwick's): element i holds the weights of i's last 2^k numbers, 2^k the lowest bit of i.
    var tree = [UInt64](repeating: 0, count: last)
    var total: UInt64 = 0
    for i in 1..<max(1, last) {
      let weight = (1 << 40) / UInt64(i)
      total += weight
      tree[i] += weight
      let parent = i + (i & -i)
      if parent < last { tree[parent] += tree[i] }
    }
    var chosen: [Int32] = [0, Int32(last)]
    for _ in 0..<(count - 2) {
      var rest = total.multipliedFullWidth(by: random.next()).high
      // The first iteration whose weight and those before it together are more than the number drawn.
      var iteration = 0
      var width = 1 << (Int.bitWidth - 1 - last.leadingZeroBitCount)
      while width > 0 {
        let next = iteration + width
        if next < last, tree[next] <= rest {
          rest -= tree[next]
          iteration = next
        }
        width /= 2
      }
      iteration += 1
      chosen.append(Int32(iteration))
      let weight = (1 << 40) / UInt64(iteration)
      total -= weight
      var index = iteration
      while index < last {
        tree[index] -= weight
        index += index & -index
      }
    }
    return chosen.sorted()
  }

  /// The indices of `count` values that are spread over the range of all: the first, the last, and then, again and
  /// again, the one that is farthest from all that were taken, the earliest of those that are equally far. Values that
  /// are not finite come after all others, in their order. Ascending.
  ///
  /// So gaps that training leaped over stay, and the rest is even; values that hardly differ are seldom taken twice.
  ///
  /// - Precondition: 2 <= `count` <= the number of values.
  package static func spread(count: Int, over values: [Float]) -> [Int] {
    precondition(count >= 2 && count <= values.count)
    /// The distance of each value from the nearest one taken; -2 if it was taken itself, -1 if it is not finite.
    var distances = values.map { $0.isFinite ? Double.infinity : -1 }
    func take(_ index: Int) {
      if values[index].isFinite {
        for i in values.indices where values[i].isFinite {
          distances[i] = min(distances[i], abs(Double(values[i]) - Double(values[index])))
        }
      }
      distances[index] = -2
    }
    take(0)
    take(values.count - 1)
    for _ in 2..<max(2, count) {
      var farthest = 0
      for i in values.indices where distances[i] > distances[farthest] { farthest = i }
      take(farthest)
    }
    return values.indices.filter { distances[$0] == -2 }
  }
}
