import Platform
import Corpus
import GRDB

/// The tables of `index.sqlite`; Schemas/index.sql is their text.
enum IndexSchema {
  /// SQLite's `user_version` of an index that this code writes.
  static let version = 2
  /// The oldest that it reads, and brings up to date before it writes.
  static let oldestVersion = 1

  static var text: String { String(decoding: PackageResources.index_sql, as: UTF8.self) }

  /// Whether a database has no tables at all.
  static func isEmpty(_ database: Database) throws -> Bool {
    try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") == 0
  }

  static func version(of database: Database) throws -> Int {
    try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
  }

  /// Makes the tables of an empty database; its metrics are not indexed.
  static func create(in database: Database, manifest: Manifest) throws {
    try database.execute(sql: text)
    for metric in manifest.metrics {
      try database.execute(sql: "ALTER TABLE checkpoints ADD COLUMN \"\(metric.name)\" REAL")
      try createImprovements(of: metric, in: database)
    }
    try markUnindexed(database)
    for (name, value) in try description(of: manifest) {
      try database.execute(sql: "INSERT INTO corpus VALUES (?, ?)", arguments: [name, value])
    }
    try database.execute(sql: "PRAGMA user_version = \(version)")
  }

  /// Refuses a database that is no index of this corpus.
  static func check(_ database: Database, manifest: Manifest, path: String) throws {
    let remedy = "make it again with `corpus index --rebuild \(Files.split(path).directory)`"
    let found = try version(of: database)
    guard oldestVersion...version ~= found else {
      throw CorpusError(
        .indexCorrupt, "\(path) has index version \(found), and this program uses version \(version)",
        remedy: remedy)
    }
    let expected = try names(manifest, version: found, areMetricsIndexed: areMetricsIndexed(database))
    guard try String.fetchSet(database, sql: "SELECT name FROM sqlite_schema").isSuperset(of: expected) else {
      throw CorpusError(.indexCorrupt, "\(path) lacks tables or indexes that it should have", remedy: remedy)
    }
    let rows = try Row.fetchAll(database, sql: "SELECT name, value FROM corpus")
    var stored: [String: String] = [:]
    for row in rows { stored[try row.value(0)] = try row.value(1) }
    guard stored == (try description(of: manifest)) else {
      throw CorpusError(.indexCorrupt, "\(path) is the index of another corpus", remedy: remedy)
    }
  }

  /// The names of the tables, indexes and views that an index must have.
  private static func names(_ manifest: Manifest, version: Int, areMetricsIndexed: Bool) -> Set<String> {
    let names = text.matches(of: /^CREATE (?:TABLE|INDEX) ([a-z_]+)/.anchorsMatchLineEndings()).map {
      String($0.1)
    }
    let ofMetrics = manifest.metrics.flatMap { metric in
      (areMetricsIndexed ? ["checkpoints_\(metric.name)"] : [])
        + (version > 1 ? [improvements(metric), best(metric)] : [])
    }
    return Set(names + ofMetrics)
  }

  private static func description(of manifest: Manifest) throws -> [String: String] {
    [
      "task": manifest.task,
      "architecture": try manifest.architecture.text(),
      "metrics": try CanonicalJSON.string(manifest.metrics),
      "recipe": try CanonicalJSON.string(manifest.recipe),
      "generator_version": "\(manifest.generatorVersion)",
    ]
  }
}
