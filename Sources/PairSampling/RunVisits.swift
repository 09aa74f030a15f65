/// How the visits of an epoch are distributed among the runs of a selection.
struct RunVisits: Sendable {
  /// The visits that are distributed: at least as many as the epoch has.
  let count: Int
  private let distribution: Distribution

  private enum Distribution: Sendable {
    /// The same number of visits for each run.
    case even(Int)
    /// Visits in proportion to the runs' weights, from the sums of weights before each run. A run gets its exact part of the
    /// visits, rounded up or down: by the offset, in 0..<1, which differs from epoch to epoch.
    case weighted([Double], offset: Double)
  }

  /// - Parameter count: the visits that an epoch has.
  init(_ selection: RunSelection, count: Int, offset: Double) {
    if let sums = selection.weightsBefore {
      self.count = count
      distribution = .weighted(sums, offset: offset)
    } else {
      let runs = selection.runs.count
      let perRun = (count + runs - 1) / runs
      self.count = perRun * runs
      distribution = .even(perRun)
    }
  }

  /// What some successive runs weigh.
  func weight(_ runs: Range<Int>) -> Double {
    switch distribution {
    case .even: Double(runs.count)
    case .weighted(let sums, _): sums[runs.upperBound] - sums[runs.lowerBound]
    }
  }

  /// How many visits fall to runs that weigh so much.
  func count(before weight: Double) -> Int {
    switch distribution {
    case .even(let perRun): Int(weight) * perRun
    case .weighted(let sums, let offset):
      min(max(0, Int((weight / sums[sums.count - 1] * Double(count) - offset).rounded(.up))), count)
    }
  }

  /// The weight at which a visit lies among runs that have some successive visits.
  ///
  /// - Parameters:
  ///   - visit: counted from the first one of these runs.
  ///   - first: the number of that first visit in the epoch.
  ///   - weights: what the runs before them weigh, and what with them.
  func weight(of visit: Int, first: Int, weights: (before: Double, end: Double)) -> Double {
    switch distribution {
    case .even: Double(visit % Int(weights.end - weights.before))
    case .weighted(let sums, let offset):
      max(0, (Double(first + visit) + offset) / Double(count) * sums[sums.count - 1] - weights.before)
    }
  }

  /// The run at a weight among some successive runs.
  func run(at weight: Double, in runs: Range<Int>) -> Int {
    switch distribution {
    case .even: runs.lowerBound + Int(weight)
    case .weighted(let sums, _): RunSelection.run(at: weight, in: runs, sums)
    }
  }
}
