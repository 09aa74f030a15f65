import Corpus
import GRDB

/// The indexes on the metrics: all are there, or none.
///
/// Metrics come in no order, so each row that is added beside a large index on them changes a page of its own. Whoever
/// adds rows drops the indexes, and they are made again by one sort when much has become new, or when somebody asks.
/// Either way what is written is a small multiple of what is new. Without them, SQL on metrics reads all checkpoints.
extension IndexSchema {
  /// Holds, while the metrics have no indexes, how many checkpoints there were when they had.
  private static let mark = "metrics_unindexed"

  static func areMetricsIndexed(_ database: Database) throws -> Bool {
    // Not `tableExists`, which remembers what there was before another process changed it.
    let statement = try database.cachedStatement(
      sql: "SELECT count(*) FROM sqlite_schema WHERE name = '\(mark)'")
    return try Int.fetchOne(statement) == 0
  }

  static func markUnindexed(_ database: Database) throws {
    try database.execute(
      sql: "CREATE TABLE \(mark) AS SELECT coalesce(sum(checkpoints), 0) AS checkpoints FROM runs")
  }

  /// Drops the indexes, where there are any.
  static func dropMetricIndexes(in database: Database, manifest: Manifest) throws {
    guard try areMetricsIndexed(database) else { return }
    for metric in manifest.metrics { try database.execute(sql: "DROP INDEX checkpoints_\(metric.name)") }
    try markUnindexed(database)
  }

  /// Whether so much has been added that making the indexes again costs no more than the rows themselves did: an eighth
  /// of all.
  static func isMuchUnindexed(_ database: Database) throws -> Bool {
    guard try !areMetricsIndexed(database) else { return false }
    return try Bool.fetchOne(
      database,
      sql: """
        SELECT 8 * (coalesce(sum(runs.checkpoints), 0) - (SELECT checkpoints FROM \(mark)))
          >= coalesce(sum(runs.checkpoints), 0) FROM runs
        """) ?? true
  }

  /// Makes the indexes, where there are none.
  static func indexMetrics(in database: Database, manifest: Manifest) throws {
    guard try !areMetricsIndexed(database) else { return }
    for metric in manifest.metrics {
      try database.execute(
        sql: "CREATE INDEX checkpoints_\(metric.name) ON checkpoints (\"\(metric.name)\")")
    }
    try database.execute(sql: "DROP TABLE \(mark)")
  }
}
