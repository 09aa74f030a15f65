public import Corpus
import GRDB
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
      let steps =
        concernsRuns && measured.isEmpty
        ? nil
        : "SELECT run, step FROM checkpoints JOIN runs USING (run) WHERE \(ofRuns)\(wanted)\(measured) ORDER BY run, step"
      return try RunTable(database, runs: runs, steps: steps, unmeasured: unmeasured)
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
  ///   - steps: SQL that gives their steps as (run, step), in order; nil for all steps.
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
    guard let steps else {
      (self.rows, self.steps, stepStarts) = (rows, nil, [])
      return
    }
    var kept: [Int32] = []
    var starts: [Int] = []
    var row = -1
    let eligible = try GRDB.Row.fetchCursor(database, sql: steps)
    while let next = try eligible.next() {
      let (run, step): (Int64, Int32) = (try next.value(0), try next.value(1))
      while row < rows.count - 1, row < 0 || rows[row].run < run {
        starts.append(kept.count)
        row += 1
      }
      guard row >= 0, rows[row].run == run, 0..<rows[row].checkpoints ~= step else {
        throw next.corrupt(1)
      }
      kept.append(step)
    }
    while starts.count <= rows.count { starts.append(kept.count) }
    (self.rows, self.steps, stepStarts) = (rows, kept, starts)
  }
}
