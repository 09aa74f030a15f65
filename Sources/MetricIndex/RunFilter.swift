public import Corpus
import GRDB

/// Which runs, and which of their checkpoints, somebody wants.
public struct RunFilter: Sendable {
  /// `train`, `test`, or nil for both.
  public var split: String?
  public var statuses: Set<RunStatus>
  /// SQL on the columns of `runs`, or of `runs` and `checkpoints`: all of it must hold.
  public var conditions: [String]
  /// A metric of which checkpoints must have a finite value; nil where none is needed.
  public var measured: String?

  public init(split: String?, statuses: Set<RunStatus>, conditions: [String], measured: String? = nil) {
    self.split = split
    self.statuses = statuses
    self.conditions = conditions
    self.measured = measured
  }

  /// What holds for the runs, conditions apart.
  var ofRuns: String {
    let status = Self.hasStatus(statuses)
    return split.map { "\(status) AND runs.split = '\($0)'" } ?? status
  }

  /// Where a run has one of some statuses, in SQL.
  public static func hasStatus(_ statuses: Set<RunStatus>) -> String {
    "runs.status IN (\(statuses.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")))"
  }

  /// The conditions, to be put behind that.
  ///
  /// - Throws: SQLite's refusal of one that is not an expression by itself.
  func wanted(_ database: Database) throws -> String {
    try conditions.map { " AND \(try database.condition($0))" }.joined()
  }
}

extension Metric {
  /// Where a checkpoint has a finite value of the metric that is called so, in SQL; the index has NULL for NaN.
  public static func isMeasured(_ name: String) -> String {
    let largest = "3.4028234663852886e+38"
    return "\(column(of: name)) BETWEEN -\(largest) AND \(largest)"
  }
}

extension IndexReader {
  /// The runs that a filter would let through if their status were this one.
  public func count(_ status: RunStatus, _ filter: RunFilter) throws(CorpusError) -> Int {
    var filter = filter
    filter.statuses = [status]
    return try reading { database in
      // Seldom there are any, and conditions on checkpoints cost as much as there are of them.
      let all = try Int.fetchOne(database, sql: "SELECT count(*) FROM runs WHERE \(filter.ofRuns)") ?? 0
      if all == 0 || filter.conditions.isEmpty { return all }
      return try Int.fetchOne(
        database,
        sql: """
          SELECT count(DISTINCT run) FROM checkpoints JOIN runs USING (run)
          WHERE \(filter.ofRuns)\(filter.wanted(database))
          """) ?? 0
    }
  }

  /// The finite values of a metric of some runs, with their steps: for each run those steps that have one, ascending.
  public func values(
    of metric: String, runs: [Int64]
  ) throws(CorpusError) -> [[(step: Int32, value: Float)]] {
    try reading { database in
      let statement = try database.cachedStatement(
        sql: "SELECT step, \(Metric.column(of: metric)) FROM checkpoints WHERE run = ? ORDER BY step")
      return try runs.map { run in
        var values: [(step: Int32, value: Float)] = []
        let rows = try Row.fetchCursor(statement, arguments: [run])
        while let row = try rows.next() {
          guard let value = Double.fromDatabaseValue(row[1]), Float(value).isFinite else { continue }
          values.append((try row.value(0), Float(value)))
        }
        return values
      }
    }
  }

  /// The checkpoints that a filter lets through and whose metric lies between two values, in the metric's order; by its
  /// index, so that no others are looked at.
  ///
  /// - Parameter limit: at most so many.
  public func checkpoints(
    _ filter: RunFilter, _ metric: String, in range: ClosedRange<Float>, descending: Bool = false, limit: Int
  ) throws(CorpusError) -> [(run: Int64, value: Float)] {
    try reading { database in
      let metric = Metric.column(of: metric)
      // CROSS keeps the order of the tables: the index on the metric first.
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT run, \(metric) FROM checkpoints CROSS JOIN runs USING (run)
          WHERE \(metric) BETWEEN ? AND ? AND \(filter.ofRuns)\(filter.wanted(database))
          ORDER BY \(metric)\(descending ? " DESC" : "") LIMIT \(limit)
          """, arguments: [Double(range.lowerBound), Double(range.upperBound)])
      var found: [(run: Int64, value: Float)] = []
      while let row = try rows.next() {
        let value: Double = try row.value(1)
        found.append((try row.value(0), Float(value)))
      }
      return found
    }
  }

  /// What a SQL expression on the columns of `runs`, or on aggregates over their checkpoints, is for each run of a table.
  ///
  /// - Throws: `invalidSQL` if SQLite does not accept it; `invalidArgument`, naming the run, for what is no finite
  ///   number from 0 on.
  public func weights(
    _ expression: String, of table: RunTable, _ filter: RunFilter
  ) throws(CorpusError) -> [Double] {
    func after(_ tables: String) -> String {
      "FROM \(tables) WHERE \(filter.ofRuns) GROUP BY run ORDER BY run"
    }
    func sql(_ tables: String) -> String { "SELECT run, (\n\(expression)\n) \(after(tables))" }
    let both = "checkpoints JOIN runs USING (run)"
    let concernsRuns: Bool? = try reading { (database) -> Bool? in
      if (try? database.expression(expression, within: ("SELECT run,", after("runs")))) != nil { return true }
      _ = try database.expression(expression, within: ("SELECT run,", after(both)))
      // A bare column of checkpoints would be that of any one of them.
      return (try? database.condition(expression)) != nil ? nil : false
    }
    guard let concernsRuns else {
      throw CorpusError(
        .invalidSQL, "the weights of runs, \"\(expression)\", differ among the checkpoints of a run",
        remedy: "put columns of checkpoints into an aggregate, such as max(…) or avg(…)")
    }
    var weights: [Double] = []
    try query(
      sql(concernsRuns ? "runs" : both), columns: { _ in },
      row: { row in
        guard weights.count < table.rows.count, case .integer(table.rows[weights.count].run) = row[0] else {
          return
        }
        weights.append(try Self.weight(row[1], of: table.rows[weights.count].run, expression))
      })
    guard weights.count == table.rows.count else {
      throw CorpusError(
        .indexStale, "run \(table.rows[weights.count].run) has vanished from the index meanwhile",
        remedy: "run the same command again")
    }
    return weights
  }

  private static func weight(_ value: SQLValue, of run: Int64, _ expression: String) throws(CorpusError)
    -> Double
  {
    let weight = value.double
    if let weight, weight.isFinite, weight >= 0 { return weight }
    let what =
      switch value {
      case .null: "NULL"
      case .text(let text): "the text '\(text)'"
      case .blob: "a blob"
      default: weight.map { "\($0)" } ?? "nothing"
      }
    throw CorpusError(
      .invalidArgument, "the weight of run \(run), \"\(expression)\", is \(what)",
      remedy: "make it a finite number from 0 on for every run, with coalesce(…, 0) or max(0, …)")
  }
}
