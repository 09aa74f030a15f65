import Corpus

/// How the places of an epoch are shared out among the runs of a selection.
struct RunVisits: Sendable {
  /// The places that are shared out: at least as many as the epoch has.
  let places: Int
  private let share: Share

  private enum Share: Sendable {
    /// So many places for each run.
    case even(Int)
    /// In proportion to the runs' weights, from the sums of weights before each run. A run gets its exact part of the
    /// places, rounded up or down: by the offset, in 0..<1, which differs from epoch to epoch.
    case weighted([Double], offset: Double)
  }

  /// - Parameter count: the places that an epoch has.
  init(_ selection: RunSelection, count: Int, offset: Double) {
    if let sums = selection.weightsBefore {
      places = count
      share = .weighted(sums, offset: offset)
    } else {
      let runs = selection.runs.count
      let visits = (count + runs - 1) / runs
      places = visits * runs
      share = .even(visits)
    }
  }

  /// What some successive runs weigh.
  func weight(_ runs: Range<Int>) -> Double {
    switch share {
    case .even: Double(runs.count)
    case .weighted(let sums, _): sums[runs.upperBound] - sums[runs.lowerBound]
    }
  }

  /// How many places fall to runs that weigh so much.
  func places(before weight: Double) -> Int {
    switch share {
    case .even(let visits): Int(weight) * visits
    case .weighted(let sums, let offset):
      min(max(0, Int((weight / sums[sums.count - 1] * Double(places) - offset).rounded(.up))), places)
    }
  }

  /// The weight at which a slot lies among runs that have some successive slots.
  ///
  /// - Parameters:
  ///   - slot: counted from the first one of these runs.
  ///   - first: the number of that.
  ///   - weights: what the runs before them weigh, and what with them.
  func weight(of slot: Int, first: Int, weights: (before: Double, end: Double)) -> Double {
    switch share {
    case .even: Double(slot % Int(weights.end - weights.before))
    case .weighted(let sums, let offset):
      max(0, (Double(first + slot) + offset) / Double(places) * sums[sums.count - 1] - weights.before)
    }
  }

  /// The run at a weight among some successive runs.
  func run(at weight: Double, in runs: Range<Int>) -> Int {
    switch share {
    case .even: runs.lowerBound + Int(weight)
    case .weighted(let sums, _): RunSelection.run(at: weight, in: runs, sums)
    }
  }
}

/// Which run of a selection comes at which place of an epoch.
final class VisitOrder: Sendable {
  let visits: RunVisits
  private let runs: Int
  private let kind: Kind

  private enum Kind: Sendable {
    case random(KeyedPermutation)
    case sequential(StretchOrder)
  }

  /// - Parameters:
  ///   - visits: how the epoch's places are shared out.
  ///   - key: of the permutation, of runs or of stretches.
  init(_ selection: RunSelection, visits: RunVisits, seed: UInt64, stream: UInt64) {
    self.visits = visits
    runs = selection.runs.count
    if let stretches = selection.stretches {
      let order = KeyedPermutation(count: stretches.count, seed: seed, stream: stream)
      kind = .sequential(StretchOrder(stretches, order: order, visits: visits))
    } else {
      kind = .random(KeyedPermutation(count: visits.places, seed: seed, stream: stream))
    }
  }

  /// The windows of stretches that it reads one after the other; none if it goes through the runs in any order.
  var windows: StretchOrder? {
    if case .sequential(let order) = kind { order } else { nil }
  }

  /// The run at a place, as its place in the selection.
  ///
  /// - Parameter key: the seed and stream of a window's permutation.
  func run(at place: Int, key: (Int) -> (seed: UInt64, stream: UInt64)) -> Int {
    switch kind {
    case .random(let permutation):
      let weights = (before: 0.0, end: visits.weight(0..<runs))
      return visits.run(at: visits.weight(of: permutation[place], first: 0, weights: weights), in: 0..<runs)
    case .sequential(let order): return order.run(at: place, key: key)
    }
  }
}
