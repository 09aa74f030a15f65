import ShardStore
import Corpus
import MetricIndex
import VectorKernels

extension MetricBalance {
  /// Runs whose metrics are read at opening, at most, and checkpoints of them, about.
  private static let sampledRuns = 512
  private static let sampledCheckpoints = 1 << 17
  /// Runs that are kept as witnesses for a cell, at most.
  private static let witnessesPerCell = 64
  /// The fraction of a given range that may be without checkpoints: at its ends, and between two others.
  private static let gaps: (atEnd: Float, within: Float) = (1 / 16, 1 / 8)

  /// What the index says of a selection's metric.
  private struct Survey {
    /// Values of runs, by positions in the selection: of all runs if these are few, else of some, evenly spread.
    var sample: [(position: Int, values: [Float])] = []
    var isComplete = true
    /// The least and the greatest value of all runs, within the range that is wanted.
    var lowest: Float = 0
    var highest: Float = 0
  }

  /// - Parameters:
  ///   - options: of the stage.
  ///   - filter: which lets the selected checkpoints through.
  /// - Throws: `invalidArgument` for a range that the selection does not cover, a metric with fewer than two values, and
  ///   logarithms of what is not positive.
  convenience init(
    _ options: PairStreamOptions, _ selection: RunSelection, _ table: RunTable, metric: String,
    filter: RunFilter, index: IndexReader, kernels: Kernels
  ) throws(CorpusError) {
    let wanted = options.balanceRange ?? -Float.greatestFiniteMagnitude...Float.greatestFiniteMagnitude
    let survey = try Self.survey(selection, table, metric, wanted, filter, index)
    let path = index.directory.path
    guard survey.lowest < survey.highest else {
      let range = options.balanceRange.map { " from \($0.lowerBound) to \($0.upperBound)" } ?? ""
      throw CorpusError(
        .invalidArgument,
        survey.lowest == survey.highest
          ? "\(metric) has only one value\(range) in what is selected of \(path), \(survey.lowest), and cannot be balanced"
          : "\(metric) has no values\(range) in what is selected of \(path), and cannot be balanced",
        remedy: "choose another metric, another range, or balance none")
    }
    if let range = options.balanceRange { try Self.requireEnds(range, survey, metric, path) }
    let range = options.balanceRange ?? survey.lowest...survey.highest
    guard options.balance != .log || range.lowerBound > 0 else {
      throw CorpusError(
        .invalidArgument,
        "balance log goes over positive values, and \(metric) begins at \(range.lowerBound) in \(path)",
        remedy: "give a range that begins above 0, or choose balance metric or quantile")
    }
    let cells = Self.cells(options.balance, range, survey)
    let witnesses = try Self.witnesses(cells, survey, selection, table, metric, filter, index)
    let covered = witnesses.indices.filter { !witnesses[$0].isEmpty }
    if options.balanceRange != nil, options.balance != .quantile {
      try Self.requireNoGap(cells, covered: covered, metric, path)
    }
    self.init(
      cells, covered: covered, witnesses: witnesses, of: selection, skipsDamage: options.onDamage == .skip,
      kernels: kernels)
  }

  private static func cells(
    _ balance: PairStreamOptions.Balance, _ range: ClosedRange<Float>, _ survey: Survey
  ) -> MetricCells {
    switch balance {
    case .log: return MetricCells(logarithmically: range)
    case .quantile:
      // The range's ends stand in where the sample has none in it.
      let values = survey.sample.flatMap(\.values).sorted()
      return MetricCells(quantiles: values.isEmpty ? [survey.lowest, survey.highest] : values, of: range)
    case .metric, .none: return MetricCells(evenly: range)
    }
  }

  private static func survey(
    _ selection: RunSelection, _ table: RunTable, _ metric: String, _ wanted: ClosedRange<Float>,
    _ filter: RunFilter,
    _ index: IndexReader
  ) throws(CorpusError) -> Survey {
    var survey = Survey()
    let runs = selection.runs.count
    let perRun = max(1, table.checkpoints / max(1, table.rows.count))
    let count = min(runs, sampledRuns, max(64, sampledCheckpoints / perRun))
    survey.isComplete = count == runs
    let positions = (0..<count).map { $0 * runs / count }
    let rows = positions.map { Int(selection.runs[$0]) }
    let values = try index.values(of: metric, runs: rows.map { table.rows[$0].run })
    var all: ClosedRange<Float>?
    for (i, row) in rows.enumerated() {
      let steps = selection.steps(row).map { Set($0) }
      let kept = values[i].filter { (steps?.contains($0.step) ?? true) && wanted.contains($0.value) }.map(
        \.value)
      survey.sample.append((positions[i], kept))
      for value in kept { all = min(all?.lowerBound ?? value, value)...max(all?.upperBound ?? value, value) }
    }
    if survey.isComplete {
      (survey.lowest, survey.highest) = all.map { ($0.lowerBound, $0.upperBound) } ?? (.nan, .nan)
    } else {
      let first = try index.checkpoints(filter, metric, in: wanted, limit: 1).first?.value
      let last = try index.checkpoints(filter, metric, in: wanted, descending: true, limit: 1).first?.value
      (survey.lowest, survey.highest) = (first ?? .nan, last ?? .nan)
    }
    return survey
  }

  /// For each cell, runs with checkpoints in it: from the sample, or from the metric's index where that has none.
  private static func witnesses(
    _ cells: MetricCells, _ survey: Survey, _ selection: RunSelection, _ table: RunTable, _ metric: String,
    _ filter: RunFilter, _ index: IndexReader
  ) throws(CorpusError) -> [[Int]] {
    var witnesses = [[Int]](repeating: [], count: MetricCells.count)
    for (position, values) in survey.sample {
      for value in values {
        for cell in cells.cells(of: value)
        where witnesses[cell].last != position && witnesses[cell].count < witnessesPerCell {
          witnesses[cell].append(position)
        }
      }
    }
    if survey.isComplete { return witnesses }
    var positions: [Int64: Int]?
    for cell in witnesses.indices where witnesses[cell].isEmpty {
      let found = try index.checkpoints(
        filter, metric, in: cells.lower[cell]...cells.upper[cell], limit: witnessesPerCell)
      if found.isEmpty { continue }
      let known =
        positions
        ?? Dictionary(
          selection.runs.enumerated().map { (table.rows[Int($0.element)].run, $0.offset) },
          uniquingKeysWith: { first, _ in first })
      positions = known
      witnesses[cell] = Set(found.compactMap { known[$0.run] }).sorted()
    }
    return witnesses
  }

  private static func requireEnds(
    _ range: ClosedRange<Float>, _ survey: Survey, _ metric: String, _ path: String
  ) throws(CorpusError) {
    let (low, high) = (range.lowerBound, range.upperBound)
    let allowed = (high - low) * gaps.atEnd
    for (from, to) in [(low, survey.lowest), (survey.highest, high)] where to - from > allowed {
      throw empty(from, to, metric, path)
    }
  }

  private static func requireNoGap(
    _ cells: MetricCells, covered: [Int], _ metric: String, _ path: String
  ) throws(CorpusError) {
    let allowed = Int(gaps.within * Float(MetricCells.count))
    for (cell, next) in zip(covered, covered.dropFirst()) where next - cell - 1 > allowed {
      throw empty(cells.upper[cell], cells.lower[next], metric, path)
    }
  }

  private static func empty(_ from: Float, _ to: Float, _ metric: String, _ path: String) -> CorpusError {
    CorpusError(
      .invalidArgument,
      "what is selected of \(path) does not cover the range: no checkpoint has a \(metric) between \(from) and \(to)",
      remedy: "give a range that ends there, select more runs, or leave the range out")
  }
}
