import Corpus
import MetricIndex

/// The runs of a table that pairs are drawn from, those of their checkpoints that may occur, and how often each run is
/// visited.
final class RunSelection: Sendable {
  /// Indexes into the table, in the order in which an epoch reads them: that of the runs, or of the read blocks.
  let runs: [Int32]
  /// Steps that may occur, of all runs of the table one after the other; nil if all may.
  private let steps: [Int32]?
  /// Where the steps of each run of the table begin, and one more entry at the end.
  private let stepStarts: [Int]
  private let table: RunTable
  /// The sums of the weights of all runs before each one, and one more entry at the end; nil if all weigh the same.
  let weightsBefore: [Double]?
  /// The blocks that an epoch reads one after the other; nil if it goes through the runs in any order.
  let readBlocks: ReadBlocks?
  /// The positions in ``runs`` in the order of the runs' numbers; nil where that is the order of ``runs``.
  private let numbered: [Int32]?

  /// - Parameters:
  ///   - selected: those runs and steps of the table that a stage selects; nil for all.
  ///   - weights: of each run of the table; runs of no weight do not occur. nil for all alike.
  ///   - needed: how many checkpoints a run must have that may occur.
  init(
    _ table: RunTable, selected: RunTable?, weights: [Double]?, needed: Int, order: PairStreamOptions.Order
  ) {
    self.table = table
    let (steps, starts, isSelected) =
      selected.map { Self.aligned($0, to: table) } ?? (table.steps, table.stepStarts, nil)
    (self.steps, stepStarts) = (steps, starts)
    func count(_ runIndex: Int) -> Int {
      steps == nil ? Int(table.rows[runIndex].checkpoints) : starts[runIndex + 1] - starts[runIndex]
    }
    let runIndexes = table.rows.indices.filter {
      isSelected?[$0] ?? true && weights?[$0] ?? 1 > 0 && count($0) >= needed
    }.map { Int32($0) }
    readBlocks = order == .sequential ? ReadBlocks(table, runs: runIndexes) : nil
    let runs = readBlocks?.runs ?? runIndexes
    self.runs = runs
    numbered = readBlocks.map { _ in runs.indices.map { Int32($0) }.sorted { runs[Int($0)] < runs[Int($1)] } }
    guard let weights else {
      weightsBefore = nil
      return
    }
    var sums = [0.0]
    for run in runs { sums.append(sums[sums.count - 1] + weights[Int(run)]) }
    weightsBefore = sums
  }

  /// The number of a run's checkpoints that may occur.
  func count(_ runIndex: Int) -> Int {
    steps == nil ? Int(table.rows[runIndex].checkpoints) : stepStarts[runIndex + 1] - stepStarts[runIndex]
  }

  /// The step of one of a run's checkpoints that may occur.
  func step(_ runIndex: Int, _ checkpoint: Int) -> Int32 {
    steps?[stepStarts[runIndex] + checkpoint] ?? Int32(checkpoint)
  }

  /// The steps of all of a run's checkpoints that may occur; nil for all of the run.
  func steps(_ runIndex: Int) -> ArraySlice<Int32>? {
    steps?[stepStarts[runIndex]..<stepStarts[runIndex + 1]]
  }

  /// The position in ``runs`` of any run, drawn by its weight.
  func anyRun(_ random: inout PhiloxGenerator) -> Int {
    guard let sums = weightsBefore else {
      let number = Int(random.integer(below: UInt32(runs.count)))
      return numbered.map { Int($0[number]) } ?? number
    }
    return Self.run(at: Double(random.nextWord()) * 0x1p-32 * sums[runs.count], in: 0..<runs.count, sums)
  }

  /// The position in ``runs`` of the run at a weight among some successive runs.
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

  /// The weight of the run at a position in ``runs``.
  func weight(_ position: Int) -> Double {
    weightsBefore.map { $0[position + 1] - $0[position] } ?? 1
  }

  /// The steps of another table of the same corpus, by the indexes of this one.
  private static func aligned(_ other: RunTable, to table: RunTable) -> (
    steps: [Int32]?, starts: [Int], isSelected: [Bool]
  ) {
    var isSelected = [Bool](repeating: false, count: table.rows.count)
    var steps: [Int32] = []
    var starts = [0]
    var next = 0
    for (runIndex, row) in table.rows.enumerated() {
      while next < other.rows.count, other.rows[next].run < row.run { next += 1 }
      if next < other.rows.count, other.rows[next].run == row.run {
        isSelected[runIndex] = true
        if let all = other.steps { steps += all[other.stepStarts[next]..<other.stepStarts[next + 1]] }
      }
      starts.append(steps.count)
    }
    if other.steps != nil { return (steps, starts, isSelected) }
    // The stage's condition is on runs; so both have the same steps, those of the table.
    return (table.steps, table.stepStarts, isSelected)
  }
}
