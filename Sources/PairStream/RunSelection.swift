import Corpus
import MetricIndex

/// The runs of a table that pairs are drawn from, those of their checkpoints that may occur, and how often each run is
/// visited.
final class RunSelection: Sendable {
  /// Places in the table, in the order in which an epoch reads them: that of the runs, or of the stretches.
  let runs: [Int32]
  /// Steps that may occur, of all places of the table one after the other; nil if all may.
  private let steps: [Int32]?
  /// Where the steps of each place begin, and one more entry at the end.
  private let stepStarts: [Int]
  /// The number of checkpoints of each place of the table.
  private let table: RunTable
  /// The sums of the weights of all runs before each one, and one more entry at the end; nil if all weigh the same.
  let weightsBefore: [Double]?
  /// The stretches that an epoch reads one after the other; nil if it goes through the runs in any order.
  let stretches: Stretches?
  /// The places in ``runs`` in the order of the runs' numbers; nil where that is the order of ``runs``.
  private let numbered: [Int32]?

  /// - Parameters:
  ///   - part: those runs and steps of the table that a stage selects; nil for all.
  ///   - weights: of each place of the table; runs of no weight do not occur. nil for all alike.
  ///   - needed: how many checkpoints a run must have that may occur.
  init(_ table: RunTable, part: RunTable?, weights: [Double]?, needed: Int, order: PairStreamOptions.Order) {
    self.table = table
    let (steps, starts, isSelected) =
      part.map { Self.aligned($0, to: table) } ?? (table.steps, table.stepStarts, nil)
    (self.steps, stepStarts) = (steps, starts)
    func count(_ place: Int) -> Int {
      steps == nil ? Int(table.rows[place].checkpoints) : starts[place + 1] - starts[place]
    }
    let selected = table.rows.indices.filter {
      isSelected?[$0] ?? true && weights?[$0] ?? 1 > 0 && count($0) >= needed
    }.map { Int32($0) }
    stretches = order == .sequential ? Stretches(table, runs: selected) : nil
    let runs = stretches?.runs ?? selected
    self.runs = runs
    numbered = stretches.map { _ in runs.indices.map { Int32($0) }.sorted { runs[Int($0)] < runs[Int($1)] } }
    guard let weights else {
      weightsBefore = nil
      return
    }
    var sums = [0.0]
    for run in runs { sums.append(sums[sums.count - 1] + weights[Int(run)]) }
    weightsBefore = sums
  }

  /// The number of a run's checkpoints that may occur.
  func count(_ run: Int) -> Int {
    steps == nil ? Int(table.rows[run].checkpoints) : stepStarts[run + 1] - stepStarts[run]
  }

  /// The step of one of them.
  func step(_ run: Int, _ place: Int) -> Int32 { steps?[stepStarts[run] + place] ?? Int32(place) }

  /// The steps of all of them; nil for all of the run.
  func steps(_ run: Int) -> ArraySlice<Int32>? { steps?[stepStarts[run]..<stepStarts[run + 1]] }

  /// The place in ``runs`` of any run, drawn by its weight.
  func anyRun(_ random: inout PhiloxGenerator) -> Int {
    guard let sums = weightsBefore else {
      let number = Int(random.integer(below: UInt32(runs.count)))
      return numbered.map { Int($0[number]) } ?? number
    }
    return Self.run(at: Double(random.nextWord()) * 0x1p-32 * sums[runs.count], in: 0..<runs.count, sums)
  }

  /// The run at a weight among some successive runs.
  ///
  /// - Parameters:
  ///   - weight: counted from the first one of them.
  ///   - sums: of the weights before each run.
  static func run(at weight: Double, in runs: Range<Int>, _ sums: [Double]) -> Int {
    var (low, high) = (runs.lowerBound, runs.upperBound - 1)
    let wanted = sums[low] + weight
    while low < high {
      let middle = (low + high) / 2
      if sums[middle + 1] > wanted { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// The weight of the run at a place in ``runs``.
  func weight(_ position: Int) -> Double {
    weightsBefore.map { $0[position + 1] - $0[position] } ?? 1
  }

  /// The steps of another table of the same corpus, by the places of this one.
  private static func aligned(_ part: RunTable, to table: RunTable) -> (
    steps: [Int32]?, starts: [Int], isSelected: [Bool]
  ) {
    var isSelected = [Bool](repeating: false, count: table.rows.count)
    var steps: [Int32] = []
    var starts = [0]
    var next = 0
    for (place, row) in table.rows.enumerated() {
      while next < part.rows.count, part.rows[next].run < row.run { next += 1 }
      if next < part.rows.count, part.rows[next].run == row.run {
        isSelected[place] = true
        if let all = part.steps { steps += all[part.stepStarts[next]..<part.stepStarts[next + 1]] }
      }
      starts.append(steps.count)
    }
    if part.steps != nil { return (steps, starts, isSelected) }
    // The stage's condition is on runs; so both have the same steps, those of the table.
    return (table.steps, table.stepStarts, isSelected)
  }
}
