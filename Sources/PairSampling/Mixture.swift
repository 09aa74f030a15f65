/// How the items of an epoch are distributed among several corpora.
///
/// In every block of successive items each corpus has its part, in an order drawn for the block. So each goes through
/// its own sequence nearly in order.
struct Mixture: Sendable {
  /// Items of a block.
  let block: Int
  /// The items of a block that fall to corpora before each one, and one more entry at the end.
  let starts: [Int]
  private let seed: UInt64

  private static let largestBlock = 4_096

  /// - Parameters:
  ///   - weights: in proportion to which items are distributed; each positive.
  ///   - items: of an epoch.
  init(weights: [Double], items: Int, seed: UInt64) {
    block = min(Self.largestBlock, items)
    self.seed = seed
    let total = weights.reduce(0, +)
    var starts = [0]
    var sum = 0.0
    for weight in weights {
      sum += weight
      starts.append(Int((sum / total * Double(block)).rounded()))
    }
    self.starts = starts
  }

  /// The items of an epoch that fall to a corpus, at most.
  func count(of source: Int, items: Int) -> Int {
    (items + block - 1) / block * (starts[source + 1] - starts[source])
  }

  /// The orders of an epoch's blocks.
  func orders(ofEpoch epoch: Int, items: Int) -> [KeyedPermutation] {
    (0..<(items + block - 1) / block).map { number in
      let index = PairSampler.firstMixtureIndex + number
      let stream = PairSampler.stream(.order, epoch: epoch, index: index)
      return KeyedPermutation(count: block, seed: seed, stream: stream)
    }
  }

  /// The corpus that an item falls to, and which of that corpus's visits it is.
  func find(_ item: Int, orders: [KeyedPermutation]) -> (source: Int, visit: Int) {
    let (number, index) = item.quotientAndRemainder(dividingBy: block)
    let drawn = orders[number][index]
    var source = 0
    while starts[source + 1] <= drawn { source += 1 }
    return (source, number * (starts[source + 1] - starts[source]) + drawn - starts[source])
  }

  /// About which of a corpus's visits comes next at an item.
  func reached(_ item: Int, of source: Int) -> Int {
    item / block * (starts[source + 1] - starts[source])
  }
}
