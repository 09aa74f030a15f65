/// Which run of a selection comes at which visit of an epoch.
final class VisitOrder: Sendable {
  let visits: RunVisits
  private let runs: Int
  private let kind: Kind

  private enum Kind: Sendable {
    case random(KeyedPermutation)
    case sequential(ReadBlockOrder)
  }

  /// - Parameters:
  ///   - visits: how the epoch's visits are distributed.
  ///   - seed, stream: of the permutation of visits, or of read blocks.
  init(_ selection: RunSelection, visits: RunVisits, seed: UInt64, stream: UInt64) {
    self.visits = visits
    runs = selection.runs.count
    if let blocks = selection.readBlocks {
      let order = KeyedPermutation(count: blocks.count, seed: seed, stream: stream)
      kind = .sequential(ReadBlockOrder(blocks, order: order, visits: visits))
    } else {
      kind = .random(KeyedPermutation(count: visits.count, seed: seed, stream: stream))
    }
  }

  /// The order of the read blocks; nil if it goes through the runs in any order.
  var readBlocks: ReadBlockOrder? {
    if case .sequential(let order) = kind { order } else { nil }
  }

  /// The run of a visit, as its position in the selection.
  ///
  /// - Parameter key: the seed and stream of a shuffle window's permutation.
  func run(at visit: Int, key: (Int) -> (seed: UInt64, stream: UInt64)) -> Int {
    switch kind {
    case .random(let permutation):
      let weights = (before: 0.0, end: visits.weight(0..<runs))
      return visits.run(at: visits.weight(of: permutation[visit], first: 0, weights: weights), in: 0..<runs)
    case .sequential(let order): return order.run(at: visit, key: key)
    }
  }
}
