import ShardStore
internal import CKernels
import Corpus
import VectorKernels

/// Draws checkpoints so that their metrics are spread evenly over the cells of a range.
///
/// A cell is drawn among those in which the corpus has checkpoints at all; then a run that has some: the one whose turn
/// it is, or else one of its neighbours; then one of its checkpoints in the cell.
final class MetricBalance: @unchecked Sendable {
  // Sendable because the table of kernels is a constant of the program.
  let cells: MetricCells
  /// The cells that are drawn from, equally often.
  let covered: [Int]
  /// For each cell, a few runs that have checkpoints in it, as positions in the selection.
  let witnesses: [[Int]]
  let selection: RunSelection
  let coverage: RunCoverage
  /// Whether runs that cannot be read are passed over.
  let skipsDamage: Bool
  private let kernels: ck_kernels

  /// - Parameters:
  ///   - options: of the stage.
  ///   - survey: of the stage's selection.
  /// - Throws: `invalidArgument` for a range that the selection does not cover, a metric with fewer than two values, and
  ///   logarithms of what is not positive.
  init(
    _ options: PairStreamOptions, _ survey: MetricSurvey, _ kernels: Kernels
  ) throws(CorpusError) {
    cells = survey.cells(options.balance, try survey.range(options))
    witnesses = try survey.witnesses(cells)
    covered = witnesses.indices.filter { [witnesses] in !witnesses[$0].isEmpty }
    if options.balanceRange != nil, options.balance != .quantile {
      try survey.requireNoGap(cells, covered: covered)
    }
    selection = survey.selection
    coverage = RunCoverage(runs: selection.runs.count, cells: MetricCells.count)
    skipsDamage = options.onDamage == .skip
    self.kernels = kernels.functions
  }

  /// How many groups of runs are asked for one with a checkpoint in a cell.
  private static let groups = 16

  /// Draws a checkpoint.
  ///
  /// - Parameter position: the position in the selection of the run whose turn it is.
  /// - Returns: its run, as an index in the table, and its number among those of the run that may occur.
  func draw(
    _ position: Int, _ random: inout PhiloxGenerator, _ finder: RunFinder
  ) throws(CorpusError) -> (run: Int, checkpoint: Int) {
    let cell = covered[Int(random.integer(below: UInt32(covered.count)))]
    let known = coverage.known(position / RunCoverage.group, cell)
    if known.map({ $0 >> UInt64(position % RunCoverage.group) & 1 == 1 }) ?? true {
      let run = Int(selection.runs[position])
      if let checkpoint = try checkpoint(of: run, in: cell, &random, finder) { return (run, checkpoint) }
    }
    let run = Int(selection.runs[try neighbour(of: position, in: cell, &random, finder)])
    guard let checkpoint = try checkpoint(of: run, in: cell, &random, finder) else {
      throw finder.metricsDiffer(run)
    }
    return (run, checkpoint)
  }

  /// A run with a checkpoint in a cell, among those of the group of a run, or else of the next groups.
  private func neighbour(
    of position: Int, in cell: Int, _ random: inout PhiloxGenerator, _ finder: RunFinder
  ) throws(CorpusError) -> Int {
    let first = position / RunCoverage.group
    for i in 0..<min(Self.groups, coverage.groups) {
      let group = (first + i) % coverage.groups
      let runs = try coverage.runs(group, cell) { () throws(CorpusError) in try find(group, finder) }
      if runs != 0 { return group * RunCoverage.group + choose(runs, of: group, &random) }
    }
    let known = witnesses[cell]
    return known[Int(random.integer(below: UInt32(known.count)))]
  }

  /// One of some runs of a group, by their weights.
  private func choose(_ runs: UInt64, of group: Int, _ random: inout PhiloxGenerator) -> Int {
    var left = runs
    guard selection.weightsBefore != nil else {
      for _ in 0..<random.integer(below: UInt32(runs.nonzeroBitCount)) { left &= left - 1 }
      return left.trailingZeroBitCount
    }
    func weight(_ run: Int) -> Double { selection.weight(group * RunCoverage.group + run) }
    var total = 0.0
    while left != 0 {
      total += weight(left.trailingZeroBitCount)
      left &= left - 1
    }
    var wanted = Double(random.nextWord()) * 0x1p-32 * total
    left = runs
    while left & (left - 1) != 0 {
      wanted -= weight(left.trailingZeroBitCount)
      if wanted < 0 { break }
      left &= left - 1
    }
    return left.trailingZeroBitCount
  }

  /// For each cell, which runs of a group have checkpoints in it.
  private func find(_ group: Int, _ finder: RunFinder) throws(CorpusError) -> [UInt64] {
    var bits = [UInt64](repeating: 0, count: MetricCells.count)
    let first = group * RunCoverage.group
    for position in first..<min(first + RunCoverage.group, selection.runs.count) {
      let run = Int(selection.runs[position])
      do throws(CorpusError) {
        for metric in try metrics(run, finder) {
          for cell in cells.cells(of: metric) { bits[cell] |= 1 << UInt64(position - first) }
        }
      } catch  where skipsDamage && error.code == .damagedShard {
        continue
      }
    }
    return bits
  }

  /// One of a run's checkpoints in a cell, as its number among those that may occur; nil if there are none.
  private func checkpoint(
    of run: Int, in cell: Int, _ random: inout PhiloxGenerator, _ finder: RunFinder
  ) throws(CorpusError) -> Int? {
    let metrics = try metrics(run, finder)
    guard let base = metrics.baseAddress else { return nil }
    let (lower, upper) = (cells.lower[cell], cells.upper[cell])
    let count = kernels.count_between(lower, upper, metrics.count, base)
    if count == 0 { return nil }
    let number = random.integer(below: UInt32(count))
    return kernels.find_between(lower, upper, Int(number), metrics.count, base)
  }

  /// The metrics of a run's checkpoints that may occur; until the finder is asked for others.
  private func metrics(_ run: Int, _ finder: RunFinder) throws(CorpusError) -> UnsafeBufferPointer<Float> {
    let found = try finder.find(run)
    let all = found.shard.metrics(of: found.location)
    return selection.steps(run).map { finder.gather(all, $0) } ?? all
  }
}
