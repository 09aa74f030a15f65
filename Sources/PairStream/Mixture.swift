import Corpus

/// How the places of an epoch are shared out among several corpora.
///
/// In every block of successive places each corpus has its part, in an order drawn for the block. So each goes through
/// its own sequence nearly in order.
struct Mixture: Sendable {
  /// Places of a block.
  let block: Int
  /// The places of a block that fall to corpora before each one, and one more entry at the end.
  let starts: [Int]
  private let seed: UInt64

  private static let largestBlock = 4_096

  /// - Parameter shares: in proportion to which places are shared out; each positive.
  init(shares: [Double], places: Int, seed: UInt64) {
    block = min(Self.largestBlock, places)
    self.seed = seed
    let total = shares.reduce(0, +)
    var starts = [0]
    var sum = 0.0
    for share in shares {
      sum += share
      starts.append(Int((sum / total * Double(block)).rounded()))
    }
    self.starts = starts
  }

  /// The places of an epoch that fall to a corpus, at most.
  func count(of source: Int, places: Int) -> Int {
    (places + block - 1) / block * (starts[source + 1] - starts[source])
  }

  /// The orders of an epoch's blocks.
  func orders(ofEpoch epoch: Int, places: Int) -> [KeyedPermutation] {
    (0..<(places + block - 1) / block).map { number in
      let stream = PairSampler.stream(
        PairSampler.Purpose.order.rawValue, epoch: epoch, place: PairSampler.mixturePlace + number)
      return KeyedPermutation(count: block, seed: seed, stream: stream)
    }
  }

  /// The corpus that a place falls to, and which of that corpus's places it is.
  func find(_ place: Int, orders: [KeyedPermutation]) -> (source: Int, place: Int) {
    let (number, slot) = place.quotientAndRemainder(dividingBy: block)
    let drawn = orders[number][slot]
    var source = 0
    while starts[source + 1] <= drawn { source += 1 }
    return (source, number * (starts[source + 1] - starts[source]) + drawn - starts[source])
  }

  /// About which of a corpus's places comes next at a place.
  func reached(_ place: Int, of source: Int) -> Int {
    place / block * (starts[source + 1] - starts[source])
  }
}
