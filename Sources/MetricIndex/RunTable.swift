public import Corpus
import GRDB
import GRDBSQLite
import ShardStore

/// Which runs, and which of their checkpoints, somebody is about to read: a snapshot of the index, a few bytes a run.
public struct RunTable: Sendable {
  public struct Row: Hashable, Sendable {
    public let run: Int64
    /// The index of its shard in ``RunTable/shards``.
    public let shard: Int32
    public let checkpoints: Int32
    /// Of the shard's rows, which tells how runs lie in it one after the other.
    public let firstRow: Int32
    /// Stands for the sums of its parameters, as the index has them.
    package let sums: UInt32
  }

  /// A shard.
  public struct Shard: Hashable, Sendable {
    /// Relative to the corpus.
    public let path: String
    /// The bytes that its runs take on average.
    public let bytesPerRun: Int
  }

  public let shards: [Shard]
  /// In order of the runs.
  public let rows: [Row]
  /// The steps that meet a condition on checkpoints, of all rows one after the other; nil if all do.
  public let steps: [Int32]?
  /// Where the steps of each row begin in ``steps``, and one more entry at the end.
  public let stepStarts: [Int]
  /// Of all parameters of all checkpoints of these runs.
  public let sum: Double
  public let sumOfSquares: Double
  /// How many checkpoints these runs have, whether or not they meet the condition.
  public let checkpoints: Int
  /// How many of those that meet it were left out, as they have no finite value of the metric that is needed.
  public let unmeasured: Int
  /// SHA-256 of what tells these runs from others: number, checkpoints and sums of each.
  public let digest: [UInt8]

  /// The runs that have checkpoints which meet the condition, in their order.
  public var runs: [Int64] {
    rows.indices.filter { steps == nil || stepStarts[$0] < stepStarts[$0 + 1] }.map { rows[$0].run }
  }
}

extension IndexReader {
  /// The runs that a filter lets through, and which of their checkpoints.
  ///
  /// Where all of these have the metric that the filter needs, the table is as if it needed none.
  ///
  /// - Throws: `invalidSQL` if SQLite does not accept a condition.
  public func runTable(_ filter: RunFilter) throws(CorpusError) -> RunTable {
    let ofRuns = filter.ofRuns
    return try reading { database in
      let wanted = try filter.wanted(database)
      let concernsRuns =
        (try? database.makeStatement(sql: "SELECT 1 FROM runs WHERE \(ofRuns)\(wanted)")) != nil
      let runs =
        concernsRuns
        ? "SELECT run FROM runs WHERE \(ofRuns)\(wanted)" : "SELECT run FROM runs WHERE \(ofRuns)"
      let unmeasured =
        try filter.measured.map { try Self.unmeasured($0, "\(ofRuns)\(wanted)", database) } ?? 0
      let measured = unmeasured > 0 ? filter.measured.map { " AND \(Metric.isMeasured($0))" } ?? "" : ""
      if concernsRuns && measured.isEmpty {
        return try RunTable(database, runs: runs, steps: nil, unmeasured: unmeasured)
      }
      let both = "SELECT run, step FROM checkpoints JOIN runs USING (run) WHERE \(ofRuns)\(wanted)\(measured)"
      // What concerns checkpoints alone, and means the same in both tables, an index on a metric may answer by itself.
      let alone = "SELECT run, step FROM checkpoints WHERE TRUE\(wanted)\(measured)"
      _ = try database.makeStatement(sql: both)
      let isAlone = (try? database.makeStatement(sql: alone)) != nil
      return try RunTable(database, runs: runs, steps: isAlone ? alone : both, unmeasured: unmeasured)
    }
  }

  /// How many checkpoints of a selection have no finite value of a metric: where there is an index on it, that has them
  /// together.
  private static func unmeasured(_ metric: String, _ selection: String, _ database: Database) throws -> Int {
    let column = Metric.column(of: metric)
    // CROSS keeps the order of the tables: the metric's index first.
    return try Int.fetchOne(
      database,
      sql: """
        SELECT count(*) FROM checkpoints CROSS JOIN runs USING (run)
        WHERE (\(column) IS NULL OR \(column) = 9e999 OR \(column) = -9e999) AND \(selection)
        """) ?? 0
  }
}

extension RunTable {
  /// - Parameters:
  ///   - runs: SQL that gives the numbers of the runs.
  ///   - steps: SQL that gives their steps as (run, step), in any order, and may give those of other runs; nil for all steps.
  ///   - unmeasured: the checkpoints that these leave out.
  fileprivate init(_ database: Database, runs: String, steps: String?, unmeasured: Int) throws {
    self.unmeasured = unmeasured
    var shardIndices: [Int64: Int32] = [:]
    var shards: [Shard] = []
    let files = try GRDB.Row.fetchCursor(
      database, sql: "SELECT shard, path, bytes / max(runs, 1) FROM shards ORDER BY path")
    while let file = try files.next() {
      shardIndices[try file.value(0)] = Int32(shards.count)
      shards.append(Shard(path: try file.value(1), bytesPerRun: try file.value(2)))
    }
    var rows: [Row] = []
    var sum = 0.0
    var sumOfSquares = 0.0
    var checkpoints = 0
    var identity: [UInt64] = []
    let found = try GRDB.Row.fetchCursor(
      database,
      sql: """
        SELECT run, shard, checkpoints, first_row, sum, sum_of_squares FROM runs WHERE run IN (\(runs)) ORDER BY run
        """)
    while let run = try found.next() {
      let (ofRun, ofSquares) = (
        Double.fromDatabaseValue(run[4]) ?? .nan, Double.fromDatabaseValue(run[5]) ?? .nan
      )
      // A damaged page may hide the shards that runs lie in.
      guard let shard = shardIndices[try run.value(1)] else { throw run.corrupt(1) }
      let row = Row(
        run: try run.value(0), shard: shard, checkpoints: try run.value(2),
        firstRow: try run.value(3), sums: ParameterSums(sum: ofRun, sumOfSquares: ofSquares).tag)
      guard row.checkpoints > 0, row.firstRow >= 0 else { throw run.corrupt(2) }
      rows.append(row)
      sum += ofRun
      sumOfSquares += ofSquares
      checkpoints += Int(row.checkpoints)
      identity += [
        UInt64(bitPattern: row.run), UInt64(row.checkpoints), ofRun.bitPattern, ofSquares.bitPattern,
      ]
    }
    var hash = try SHA256()
    hash.update(identity)
    digest = hash.finish()
    (self.sum, self.sumOfSquares, self.checkpoints, self.shards) = (sum, sumOfSquares, checkpoints, shards)
    self.rows = rows
    (self.steps, stepStarts) = try steps.map { try database.steps($0, of: rows) } ?? (nil, [])
  }
}

extension Database {
  /// The steps that a statement gives as (run, step) in any order: those of each row ascending, one row after the other,
  /// and where each row's begin. Those of other runs are left out.
  ///
  /// A bit stands for each checkpoint, which is faster than sorting, and small.
  fileprivate func steps(_ sql: String, of rows: [RunTable.Row]) throws -> ([Int32]?, [Int]) {
    var firstBits = [0]
    for row in rows { firstBits.append(firstBits[firstBits.count - 1] + Int(row.checkpoints)) }
    guard firstBits[rows.count] <= 1 << 33 else {
      throw DatabaseError(
        resultCode: .SQLITE_CORRUPT, message: "there cannot be \(firstBits[rows.count]) checkpoints")
    }
    var bits = [UInt64](repeating: 0, count: firstBits[rows.count] / 64 + 1)
    let prepared = try makeStatement(sql: sql)
    defer { withExtendedLifetime(prepared) {} }
    let statement = prepared.sqliteStatement
    var row = 0
    var code = sqlite3_step(statement)
    while code == SQLITE_ROW {
      let (run, step) = (sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1))
      if row >= rows.count || rows[row].run != run { row = rows.firstIndex(from: run) }
      if row < rows.count, rows[row].run == run {
        guard 0..<Int64(rows[row].checkpoints) ~= step else {
          throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "run \(run) cannot have a step \(step)")
        }
        let bit = firstBits[row] + Int(step)
        bits[bit / 64] |= 1 << UInt64(bit % 64)
      }
      code = sqlite3_step(statement)
    }
    guard code == SQLITE_DONE else {
      throw DatabaseError(resultCode: ResultCode(rawValue: code), message: lastErrorMessage)
    }
    var steps: [Int32] = []
    steps.reserveCapacity(bits.reduce(0) { $0 + $1.nonzeroBitCount })
    var starts: [Int] = []
    for row in rows.indices {
      starts.append(steps.count)
      for bit in firstBits[row]..<firstBits[row + 1] where bits[bit / 64] >> UInt64(bit % 64) & 1 == 1 {
        steps.append(Int32(bit - firstBits[row]))
      }
    }
    return (steps, starts + [steps.count])
  }
}

extension [RunTable.Row] {
  /// The index of the first row whose run is not before this one.
  fileprivate func firstIndex(from run: Int64) -> Int {
    guard let first else { return 0 }
    // Most corpora have all runs from some number on.
    let likely = Int(run &- first.run)
    if indices.contains(likely), self[likely].run == run { return likely }
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].run < run { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
