package import Platform
public import ShardStore
public import Corpus
import Foundation
import GRDB

/// A value of a SQL result.
public enum SQLValue: Hashable, Sendable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// The characters of a text, nil for anything else.
  public var text: String? {
    if case .text(let text) = self { text } else { nil }
  }

  /// A number, whole or not; nil for anything else.
  public var double: Double? {
    switch self {
    case .real(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }
}

/// The read-only index of a corpus. A query may be interrupted from any thread.
public final class IndexReader: Sendable {
  public let directory: CorpusDirectory
  private let queue: DatabaseQueue
  /// Whether the file system has no locks.
  let isUnlocked: Bool

  /// Opens the index of a corpus.
  ///
  /// - Parameter allowStale: whether to answer from an index that is older than the shards.
  /// - Throws: `indexMissing`, `indexStale` or `indexCorrupt`.
  public init(opening directory: CorpusDirectory, allowStale: Bool = false) throws(CorpusError) {
    self.directory = directory
    let path = directory.indexPath
    guard Files.exists(path) else {
      throw CorpusError(
        .indexMissing, "\(directory.path) has no index.sqlite",
        remedy: "make it with `corpus index "
          + "\(directory.path)`")
    }
    isUnlocked = try !RunLocks.areLocksThere(directory)
    do {
      queue = try Self.open(path, isUnlocked: isUnlocked)
      try queue.read { database in
        try IndexSchema.check(database, manifest: directory.manifest, path: path)
        if allowStale { return }
        let difference = try IndexDifference(database, directory: directory).ignoringClaimed(directory)
        guard difference.isEmpty else { throw difference.staleError(directory) }
      }
    } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
      throw directory.indexCorrupt("is not an index of this program", cause: error.message)
    } catch {
      throw indexError(error, .read, path: path)
    }
  }

  private static func open(_ path: String, isUnlocked: Bool) throws -> DatabaseQueue {
    let locator = IndexFile.locator(path, withoutLocks: isUnlocked)
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(60)
    do {
      let queue = try DatabaseQueue(path: locator, configuration: configuration)
      _ = try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }
      return queue
    } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_ROLLBACK {
      // Somebody may be in the midst of it.
      if isUnlocked { throw Self.changing(path) }
      // A writer was killed in the midst of a transaction, and only a writer may roll it back.
      configuration.readonly = false
      do {
        let writer = try DatabaseQueue(path: path, configuration: configuration)
        _ = try writer.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }
      } catch {
        throw CorpusError(
          .readOnly, "\(path) was left in the midst of a change by a killed process",
          remedy: "run `corpus index \(Files.split(path).directory)` as somebody who may write there")
      }
      configuration.readonly = true
      return try DatabaseQueue(path: path, configuration: configuration)
    }
  }

  /// Whether there are tables of improvements, which indexes of version 1 lack.
  public func hasImprovements() throws(CorpusError) -> Bool {
    try reading { try IndexSchema.version(of: $0) > 1 }
  }

  /// Whether the metrics have indexes now; without them, SQL on metrics reads all checkpoints.
  public func areMetricsIndexed() throws(CorpusError) -> Bool { try reading(IndexSchema.areMetricsIndexed) }

  /// Stops the query that is running, if any; it then throws `interrupted`.
  public func interrupt() { queue.interrupt() }

  /// Runs one SQL statement that only reads.
  ///
  /// - Parameters:
  ///   - columns: called once with the names of the columns.
  ///   - row: called with the values of each row, as they come.
  /// - Throws: `invalidSQL` for SQL that fails or writes, `interrupted`.
  public func query(
    _ sql: String, columns: ([String]) throws -> Void, row: ([SQLValue]) throws -> Void
  ) throws(CorpusError) {
    try reading { database in
      let statement = try database.makeStatement(sql: sql)
      try columns(statement.columnNames)
      let cursor = try Row.fetchCursor(statement)
      while let next = try cursor.next() { try row(next.databaseValues.map(SQLValue.init)) }
    }
  }

  /// All rows of a statement that reads for long, and ends when somebody wishes to stop.
  package func rows(_ sql: String, cancellation: Cancellation) throws(CorpusError) -> [[SQLValue]] {
    try reading { database in
      try database.interruptible(by: cancellation) {
        try Row.fetchAll(database, sql: sql).map { $0.databaseValues.map(SQLValue.init) }
      }
    }
  }

  /// Runs SQL that a user has written, with errors that tell them what is wrong with it.
  func reading<Value>(_ body: (Database) throws -> Value) throws(CorpusError) -> Value {
    let state = unlockedState
    let result = Result { try queue.read(body) }
    try requireUnchanged(state)
    do {
      return try result.get()
    } catch let error as DatabaseError {
      throw Self.queryError(error, path: directory.indexPath)
    } catch {
      throw indexError(error, .read, path: directory.indexPath)
    }
  }

  /// The state of the index where no lock keeps it as it is; nil where SQLite sees to that.
  var unlockedState: UnlockedState? { isUnlocked ? UnlockedState(directory.indexPath) : nil }

  /// Refuses what was read since then without a lock while somebody changed it, which may be half of the change.
  func requireUnchanged(_ state: UnlockedState?) throws(CorpusError) {
    guard let state else { return }
    guard !state.isChanging, unlockedState == state else { throw Self.changing(directory.indexPath) }
  }

  private static func changing(_ path: String) -> CorpusError {
    CorpusError(
      .resource,
      "\(path) is being changed, or was left in the midst of a change by a killed process; the file system has no locks "
        + "by which it could be read all the same",
      remedy: "run the same command again when nobody changes it, or `corpus index --alone` if nobody does")
  }

  /// All rows of a statement that only reads.
  public func rows(_ sql: String) throws(CorpusError) -> [[SQLValue]] {
    var rows: [[SQLValue]] = []
    try query(sql, columns: { _ in }, row: { rows.append($0) })
    return rows
  }

  static func queryError(_ error: DatabaseError, path: String) -> CorpusError {
    let message = error.message ?? "no message"
    switch error.resultCode {
    case .SQLITE_READONLY:
      return CorpusError(
        .invalidSQL, "the SQL would write, and queries only read",
        remedy: "ask with SELECT; to keep "
          + "tables of your own, ATTACH the index in a database of yours", cause: message)
    case .SQLITE_NOTADB, .SQLITE_CORRUPT, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_INTERRUPT,
      .SQLITE_NOMEM, .SQLITE_FULL:
      return indexError(error, .read, path: path)
    case .SQLITE_MISUSE:
      // So GRDB refuses text that is empty or holds several statements.
      return CorpusError(.invalidSQL, "the SQL is not one statement", remedy: "ask one thing at a time")
    default:
      return CorpusError(
        .invalidSQL, "SQLite does not accept the SQL: \(message)",
        remedy: "Schemas/index.sql lists the tables "
          + "and columns")
    }
  }
}

extension SQLValue {
  fileprivate init(_ value: DatabaseValue) {
    switch value.storage {
    case .null: self = .null
    case .int64(let value): self = .integer(value)
    case .double(let value): self = .real(value)
    case .string(let value): self = .text(value)
    case .blob(let value): self = .blob(Array(value))
    }
  }
}
