import ShardStore
public import Corpus

/// The checkpoints that a SQL condition selects, as they were when it was asked: which runs, and how many of each.
///
/// Only that is kept, so that a selection out of millions is small; the steps are asked for again some runs at a
/// time. Between two questions the index is free for writers.
public struct CheckpointSelection: Sendable {
  /// A run and how many of its checkpoints are selected.
  public struct SelectedRun: Hashable, Sendable {
    public let run: Int64
    public let count: Int
  }

  /// In order of the runs.
  public let selectedRuns: [SelectedRun]
  /// The number of checkpoints.
  public let count: Int
  /// Runs that the condition selects and that were left out for their status.
  public let badRuns: Int

  private let index: IndexReader
  private let condition: String
  /// Whether all checkpoints of a run are selected, or the first ones.
  private let takesAll: Bool

  /// About how many rows one question may answer.
  private static let rowsPerQuery = 16_384

  /// Asks an index.
  ///
  /// - Parameters:
  ///   - condition: SQL on the columns of `checkpoints` and `runs`, as after WHERE; nil selects all.
  ///   - runs: only these.
  ///   - includesBad: whether runs of another status than `ok` count.
  ///   - limit: at most so many checkpoints, the first ones in order of run and step.
  /// - Throws: `invalidSQL`; `emptySelection` if nothing is selected; `interrupted`.
  public init(
    _ index: IndexReader, where condition: String? = nil, runs: Range<Int64>? = nil,
    includesBad: Bool = false, limit: Int? = nil
  ) throws(CorpusError) {
    self.index = index
    self.condition = try Self.conjunction(condition, runs, index)
    takesAll = condition == nil
    var selectedRuns: [SelectedRun] = []
    var count = 0
    var bad = 0
    try index.query(
      "SELECT run, runs.status, count(*), runs.checkpoints \(Self.source) WHERE \(self.condition) GROUP BY run "
        + "ORDER BY run",
      columns: { _ in },
      row: { row in
        // With a condition, who knows.
        guard condition != nil || row[2] == row[3] else {
          throw index.directory.indexCorrupt(
            "has \(row[2].whole) checkpoints of run \(row[0].whole), and says that it has \(row[3].whole)")
        }
        guard includesBad || row[1] == .text(RunStatus.ok.rawValue) else { return bad += 1 }
        let entry = SelectedRun(run: row[0].whole, count: min(Int(row[2].whole), (limit ?? .max) - count))
        guard entry.count > 0 else { return }
        selectedRuns.append(entry)
        count += entry.count
      })
    guard count > 0 else { throw Self.empty(index, bad: bad) }
    self.selectedRuns = selectedRuns
    self.count = count
    badRuns = bad
  }

  /// The runs that a SQL condition on the columns of `runs` selects, in their order.
  ///
  /// - Parameter limit: at most so many runs.
  /// - Throws: as ``init(_:where:runs:includesBad:limit:)``.
  public static func runs(
    _ index: IndexReader, where condition: String? = nil, runs: Range<Int64>? = nil,
    includesBad: Bool = false, limit: Int? = nil
  ) throws(CorpusError) -> (runs: [Int64], bad: Int) {
    var selected: [Int64] = []
    var bad = 0
    let condition = try conjunction(condition, runs, index)
    try index.query(
      "SELECT run, status FROM runs WHERE \(condition) ORDER BY run", columns: { _ in },
      row: { row in
        guard includesBad || row[1] == .text(RunStatus.ok.rawValue) else { return bad += 1 }
        if selected.count < limit ?? .max { selected.append(row[0].whole) }
      })
    if selected.isEmpty { throw empty(index, bad: bad) }
    return (selected, bad)
  }

  /// Goes through the selection.
  ///
  /// - Parameter body: called with each run and its selected steps, both ascending.
  /// - Throws: `indexStale` if the corpus has changed in what was selected.
  public func forEachRun(
    _ body: (_ run: Int64, _ steps: [Int]) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    try forEachRun(columns: []) { (run, rows) throws(CorpusError) in
      try body(run, rows.map { Int($0[1].whole) })
    }
  }

  /// Goes through what the index says of the selection.
  ///
  /// - Parameters:
  ///   - columns: SQL for what is wanted besides run and step, which come first.
  ///   - body: called with each run and the rows of its selected steps, both ascending.
  /// - Throws: `indexStale` if the corpus has changed in what was selected.
  public func forEachRun(
    columns: [String], _ body: (_ run: Int64, _ rows: ArraySlice<[SQLValue]>) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    var next = 0
    while next < selectedRuns.count {
      var end = next
      var count = 0
      while end < selectedRuns.count, end == next || count + selectedRuns[end].count <= Self.rowsPerQuery {
        count += selectedRuns[end].count
        end += 1
      }
      let rows = try rows(of: selectedRuns[next..<end], columns)
      for entry in selectedRuns[next..<end] {
        guard let rows = rows[entry.run], rows.count >= entry.count else {
          throw CorpusError(
            .indexStale, "run \(entry.run) of \(index.directory.path) has changed meanwhile",
            remedy: "run the same command again")
        }
        let selected = rows.prefix(entry.count)
        guard !takesAll || zip(selected, 0...).allSatisfy({ $0[1] == .integer($1) }) else {
          throw index.directory.indexCorrupt(
            "does not have the checkpoints of run \(entry.run) one after the other")
        }
        try body(entry.run, selected)
      }
      next = end
    }
  }

  private func rows(
    of selectedRuns: ArraySlice<SelectedRun>, _ columns: [String]
  ) throws(CorpusError) -> [Int64: [[SQLValue]]] {
    guard let first = selectedRuns.first?.run, let last = selectedRuns.last?.run else { return [:] }
    var rows: [Int64: [[SQLValue]]] = [:]
    try index.query(
      "SELECT \((["run", "step"] + columns).joined(separator: ", ")) \(Self.source) "
        + "WHERE \(condition) AND run BETWEEN \(first) AND \(last) ORDER BY run, step",
      columns: { _ in }, row: { row in rows[row[0].whole, default: []].append(row) })
    return rows
  }

  private static let source = "FROM checkpoints JOIN runs USING (run)"

  private static func conjunction(
    _ condition: String?, _ runs: Range<Int64>?, _ index: IndexReader
  ) throws(CorpusError) -> String {
    let given =
      if let condition { try index.reading { try $0.condition(condition) } } else { "TRUE" }
    return runs.map { "\(given) AND run >= \($0.lowerBound) AND run < \($0.upperBound)" } ?? given
  }

  private static func empty(_ index: IndexReader, bad: Int) -> CorpusError {
    CorpusError(
      .emptySelection,
      bad == 0
        ? "nothing in \(index.directory.path) is selected"
        : "only runs with another status than ok are selected in \(index.directory.path), \(bad) of them",
      remedy: bad == 0
        ? "try the condition with `corpus query \(index.directory.path) \"SELECT ... WHERE ...\"`"
        : "add --include-bad to take them all the same")
  }
}

extension SQLValue {
  /// The value of a column that holds integers only.
  fileprivate var whole: Int64 {
    if case .integer(let value) = self { value } else { 0 }
  }
}
