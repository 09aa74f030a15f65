import Corpus
import GRDB

/// The tables of `index.sqlite`; Schemas/index.sql is their text.
enum IndexSchema {
  /// SQLite's `user_version` of an index that this code reads and writes.
  static let version = 1

  static var text: String { String(decoding: PackageResources.index_sql, as: UTF8.self) }

  /// Makes the tables of an empty database.
  ///
  /// - Parameter indexingMetrics: whether to index the metrics now; filling many rows first is faster.
  static func create(in database: Database, manifest: Manifest, indexingMetrics: Bool) throws {
    try database.execute(sql: text)
    for metric in manifest.metrics {
      try database.execute(sql: "ALTER TABLE checkpoints ADD COLUMN \(metric.name) REAL")
    }
    if indexingMetrics { try indexMetrics(in: database, manifest: manifest) }
    for (name, value) in try description(of: manifest) {
      try database.execute(sql: "INSERT INTO corpus VALUES (?, ?)", arguments: [name, value])
    }
    try database.execute(sql: "PRAGMA user_version = \(version)")
  }

  static func indexMetrics(in database: Database, manifest: Manifest) throws {
    for metric in manifest.metrics {
      try database.execute(
        sql: "CREATE INDEX checkpoints_\(metric.name) ON checkpoints (\(metric.name))")
    }
  }

  /// Refuses a database that is no index of this corpus.
  static func check(_ database: Database, manifest: Manifest, path: String) throws {
    let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard found == version else {
      throw CorpusError(
        .indexCorrupt, "\(path) has index version \(found), and this program uses version \(version)",
        remedy: "make it again with `corpus index --rebuild`")
    }
    let rows = try Row.fetchAll(database, sql: "SELECT name, value FROM corpus")
    let stored = Dictionary(rows.map { ($0[0] as String, $0[1] as String) }, uniquingKeysWith: { $1 })
    guard stored == (try description(of: manifest)) else {
      throw CorpusError(
        .indexCorrupt, "\(path) is the index of another corpus",
        remedy: "make it again with `corpus index --rebuild`")
    }
  }

  private static func description(of manifest: Manifest) throws -> [String: String] {
    [
      "task": manifest.task,
      "architecture": try CanonicalJSON.string(manifest.architecture),
      "metrics": try CanonicalJSON.string(manifest.metrics),
      "recipe": try CanonicalJSON.string(manifest.recipe),
      "generator_version": "\(manifest.generatorVersion)",
    ]
  }
}

/// What SQLite says, as an error that names the index and the remedy.
func indexError(_ error: any Error, path: String) -> CorpusError {
  if let error = error as? CorpusError { return error }
  guard let error = error as? DatabaseError else {
    return CorpusError(
      .inputOutput, "cannot use \(path)", remedy: "make it again with `corpus index --rebuild`",
      cause: "\(error)")
  }
  let cause = error.message
  switch error.resultCode {
  case .SQLITE_NOTADB, .SQLITE_CORRUPT:
    return CorpusError(
      .indexCorrupt, "\(path) is corrupt",
      remedy: "make it again with `corpus index --rebuild`; the shards "
        + "hold all it says", cause: cause)
  case .SQLITE_FULL, .SQLITE_IOERR:
    // Of what is wrong with a disk SQLite tells apart only ENOSPC; a quota is an I/O error to it.
    let state = error.resultCode == .SQLITE_FULL ? "full" : "full or faulty"
    return CorpusError(
      .diskFull, "cannot write \(path): the disk is \(state)",
      remedy: "free some space and run the same command "
        + "again; nothing stored was lost", cause: cause)
  case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
    return CorpusError(
      .readOnly, "cannot write \(path): no permission",
      remedy: "make the directory writable for you, or "
        + "choose another", cause: cause)
  case .SQLITE_BUSY, .SQLITE_LOCKED:
    return CorpusError(
      .resource, "\(path) is in use by another process", remedy: "try again when it has ended", cause: cause)
  case .SQLITE_INTERRUPT:
    return CorpusError(.interrupted, "the query was interrupted", remedy: "ask for less, or wait longer")
  default:
    return CorpusError(
      .inputOutput, "cannot use \(path)",
      remedy: "check the disk, or make it again with "
        + "`corpus index --rebuild`", cause: cause)
  }
}
