import ShardStore
import Corpus
import MetricIndex

/// What the index says of a selection's metric, within the range that is wanted.
struct MetricSurvey {
  private let metric: String
  private let index: IndexReader
  let selection: RunSelection
  private let table: RunTable
  private let filter: RunFilter
  /// Values of runs, by positions in the selection: of all runs if these are few, else of some, evenly spread.
  private var sample: [(position: Int, values: [Float])] = []
  private let isComplete: Bool
  /// The least and the greatest value of all runs; NaN where there are none.
  private let lowest: Float
  private let highest: Float

  /// Runs whose metrics are read at opening, at most, and checkpoints of them, about.
  private static let sampledRuns = 512
  private static let sampledCheckpoints = 1 << 17
  /// Runs that are kept as witnesses for a cell, at most.
  private static let witnessesPerCell = 64
  /// The fraction of a given range that may be without checkpoints: at its ends, and between two others.
  private static let gaps: (atEnd: Float, within: Float) = (1 / 16, 1 / 8)

  /// - Parameter filter: which lets the selected checkpoints through.
  init(
    _ options: PairStreamOptions, _ selection: RunSelection, _ table: RunTable, _ metric: String,
    _ filter: RunFilter, _ index: IndexReader
  ) throws(CorpusError) {
    (self.selection, self.table, self.metric, self.filter, self.index) = (
      selection, table, metric, filter, index
    )
    let wanted = options.balanceRange ?? -Float.greatestFiniteMagnitude...Float.greatestFiniteMagnitude
    let runs = selection.runs.count
    let perRun = max(1, table.checkpoints / max(1, table.rows.count))
    let count = min(runs, Self.sampledRuns, max(64, Self.sampledCheckpoints / perRun))
    isComplete = count == runs
    let positions = (0..<count).map { $0 * runs / count }
    let rows = positions.map { Int(selection.runs[$0]) }
    let values = try index.values(of: metric, runs: rows.map { table.rows[$0].run })
    for (i, row) in rows.enumerated() {
      let steps = selection.steps(row).map { Set($0) }
      let selected = values[i].filter { steps?.contains($0.step) ?? true && wanted.contains($0.value) }
      sample.append((positions[i], selected.map(\.value)))
    }
    if isComplete {
      let all = sample.flatMap(\.values)
      (lowest, highest) = (all.min() ?? .nan, all.max() ?? .nan)
    } else {
      lowest = try index.checkpoints(filter, metric, in: wanted, limit: 1).first?.value ?? .nan
      highest =
        try index.checkpoints(filter, metric, in: wanted, descending: true, limit: 1).first?.value ?? .nan
    }
  }

  /// The range that is balanced over: the one that is given, or all that the selection has.
  ///
  /// - Throws: `invalidArgument` for a range whose ends the selection does not reach, a metric with fewer than two
  ///   values, and logarithms of what is not positive.
  func range(_ options: PairStreamOptions) throws(CorpusError) -> ClosedRange<Float> {
    let path = index.directory.path
    guard lowest < highest else {
      let range = options.balanceRange.map { " from \($0.lowerBound) to \($0.upperBound)" } ?? ""
      throw CorpusError(
        .invalidArgument,
        lowest == highest
          ? "\(metric) has only one value\(range) in what is selected of \(path), \(lowest), and cannot be balanced"
          : "\(metric) has no values\(range) in what is selected of \(path), and cannot be balanced",
        remedy: "choose another metric, another range, or balance none")
    }
    let range = options.balanceRange ?? lowest...highest
    let allowed = (range.upperBound - range.lowerBound) * Self.gaps.atEnd
    for (from, to) in [(range.lowerBound, lowest), (highest, range.upperBound)] where to - from > allowed {
      throw empty(from, to)
    }
    guard options.balance != .log || range.lowerBound > 0 else {
      throw CorpusError(
        .invalidArgument,
        "balance log goes over positive values, and \(metric) begins at \(range.lowerBound) in \(path)",
        remedy: "give a range that begins above 0, or choose balance metric or quantile")
    }
    return range
  }

  func cells(_ balance: PairStreamOptions.Balance, _ range: ClosedRange<Float>) -> MetricCells {
    switch balance {
    case .log: return MetricCells(logarithmically: range)
    case .quantile:
      // The range's ends stand in where the sample has none in it.
      let values = sample.flatMap(\.values).sorted()
      return MetricCells(quantiles: values.isEmpty ? [lowest, highest] : values, of: range)
    case .metric, .none: return MetricCells(evenly: range)
    }
  }

  /// For each cell, runs with checkpoints in it: from the sample, or from the metric's index where that has none.
  func witnesses(_ cells: MetricCells) throws(CorpusError) -> [[Int]] {
    var witnesses = [[Int]](repeating: [], count: MetricCells.count)
    for (position, values) in sample {
      for value in values {
        for cell in cells.cells(of: value)
        where witnesses[cell].last != position && witnesses[cell].count < Self.witnessesPerCell {
          witnesses[cell].append(position)
        }
      }
    }
    if isComplete { return witnesses }
    lazy var positions = Dictionary(
      selection.runs.enumerated().map { (table.rows[Int($0.element)].run, $0.offset) },
      uniquingKeysWith: { first, _ in first })
    for cell in witnesses.indices where witnesses[cell].isEmpty {
      let found = try index.checkpoints(
        filter, metric, in: cells.lower[cell]...cells.upper[cell], limit: Self.witnessesPerCell)
      witnesses[cell] = Set(found.compactMap { positions[$0.run] }).sorted()
    }
    return witnesses
  }

  /// Refuses a range in whose midst there are too few checkpoints.
  ///
  /// - Parameter covered: the cells that have some, ascending.
  func requireNoGap(_ cells: MetricCells, covered: [Int]) throws(CorpusError) {
    let allowed = Int(Self.gaps.within * Float(MetricCells.count))
    for (cell, next) in zip(covered, covered.dropFirst()) where next - cell - 1 > allowed {
      throw empty(cells.upper[cell], cells.lower[next])
    }
  }

  private func empty(_ from: Float, _ to: Float) -> CorpusError {
    CorpusError(
      .invalidArgument,
      "what is selected of \(index.directory.path) does not cover the range: no checkpoint has a \(metric) "
        + "between \(from) and \(to)",
      remedy: "give a range that ends there, select more runs, or leave the range out")
  }
}
