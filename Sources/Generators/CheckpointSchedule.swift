package import Corpus

/// The iterations after which a run's checkpoints are taken.
package enum CheckpointSchedule {
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
}
