import ShardStore
public import Corpus
import GRDB
import GRDBSQLite
import Synchronization

/// The rows of a SQL statement that only reads, fetched one by one, by the caller's own pace; one owner of a
/// connection and its statement. Serves one thread at a time; ``interrupt()`` may come from any other.
///
/// While rows are left, the index takes up no runs; those who store some do not wait for that.
public final class RowCursor {
  /// Where a value is until the next row is fetched.
  public enum Value {
    case null
    case integer(Int64)
    case real(Double)
    case text(UnsafeRawBufferPointer)
    case blob(UnsafeRawBufferPointer)
  }

  public let columns: [String]
  private let connection: Connection
  private let statement: OpaquePointer
  private let path: String
  private let index: IndexReader
  private let state: UnlockedState?
  private var isAtEnd = false

  /// Prepares a statement.
  ///
  /// - Parameters:
  ///   - index: whose database is asked; it has been checked.
  ///   - parameters: the values of the statement's question marks, in order.
  /// - Throws: `invalidSQL`.
  public init(_ sql: String, parameters: [SQLValue] = [], of index: IndexReader) throws(CorpusError) {
    path = index.directory.indexPath
    self.index = index
    state = index.unlockedState
    connection = try Connection(path, isUnlocked: index.isUnlocked)
    statement = try connection.prepare(sql)
    columns = (0..<sqlite3_column_count(statement)).map { [statement] in
      sqlite3_column_name(statement, $0).map { String(cString: $0) } ?? ""
    }
    let count = sqlite3_bind_parameter_count(statement)
    guard count == parameters.count else {
      throw CorpusError(
        .invalidSQL, "the SQL has \(count) question marks, and there are \(parameters.count) values for them",
        remedy: "give one value for each")
    }
    for (number, value) in parameters.enumerated() { try bind(value, Int32(number + 1)) }
  }

  // The statement goes before its connection, whose owner closes it afterwards.
  deinit { sqlite3_finalize(statement) }

  /// Ends the fetch that is at work, and all later ones: they throw `interrupted`.
  public func interrupt() { connection.interrupt() }

  /// Goes to the next row.
  ///
  /// - Returns: false at the end.
  /// - Throws: `interrupted`, or `invalidSQL` for what shows only when it is computed.
  public func next() throws(CorpusError) -> Bool {
    if isAtEnd { return false }
    guard !connection.isInterrupted else { throw failure(SQLITE_INTERRUPT) }
    let code = sqlite3_step(statement)
    if code == SQLITE_ROW { return true }
    isAtEnd = true
    // Frees the lock on the file.
    sqlite3_reset(statement)
    try index.requireUnchanged(state)
    guard code == SQLITE_DONE else { throw failure(code) }
    return false
  }

  /// A value of the present row.
  public func value(at column: Int) -> Value {
    let column = Int32(column)
    func bytes(_ start: UnsafeRawPointer?) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
    }
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
    case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, column))
    case SQLITE_TEXT: return .text(bytes(sqlite3_column_text(statement, column)))
    case SQLITE_BLOB: return .blob(bytes(sqlite3_column_blob(statement, column)))
    default: return .null
    }
  }

  private func bind(_ value: SQLValue, _ parameter: Int32) throws(CorpusError) {
    // SQLITE_TRANSIENT: SQLite makes a copy.
    let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    let code =
      switch value {
      case .null: sqlite3_bind_null(statement, parameter)
      case .integer(let number): sqlite3_bind_int64(statement, parameter, number)
      case .real(let number): sqlite3_bind_double(statement, parameter, number)
      // With its length, as a text may hold zeros.
      case .text(let text): sqlite3_bind_text(statement, parameter, text, Int32(text.utf8.count), copied)
      case .blob(let bytes): sqlite3_bind_blob(statement, parameter, bytes, Int32(bytes.count), copied)
      }
    guard code == SQLITE_OK else { throw failure(code) }
  }

  private func failure(_ code: Int32) -> CorpusError {
    IndexReader.queryError(
      DatabaseError(resultCode: ResultCode(rawValue: code), message: connection.message), path: path)
  }

  /// A read-only connection, closed with its owner.
  private final class Connection: Sendable {
    // Sendable, as SQLite serialises what threads do to it.
    nonisolated(unsafe) private let database: OpaquePointer
    private let interrupted = Atomic(false)
    private let path: String

    init(_ path: String, isUnlocked: Bool) throws(CorpusError) {
      var database: OpaquePointer?
      let code = sqlite3_open_v2(
        IndexFile.locator(path, withoutLocks: isUnlocked), &database,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_FULLMUTEX, nil)
      guard code == SQLITE_OK, let database else {
        sqlite3_close(database)
        throw indexError(DatabaseError(resultCode: ResultCode(rawValue: code)), .read, path: path)
      }
      self.database = database
      self.path = path
      sqlite3_busy_timeout(database, 60_000)
      // As everywhere else: what is in double quotes is a column, and an error where there is none.
      _disableDoubleQuotedStringLiterals(database)
    }

    deinit { sqlite3_close_v2(database) }

    var isInterrupted: Bool { interrupted.load(ordering: .relaxed) }

    var message: String { String(cString: sqlite3_errmsg(database)) }

    func interrupt() {
      interrupted.store(true, ordering: .relaxed)
      sqlite3_interrupt(database)
    }

    /// - Throws: `invalidSQL` for anything but one statement that only reads.
    func prepare(_ sql: String) throws(CorpusError) -> OpaquePointer {
      func failure(_ code: Int32) -> CorpusError {
        IndexReader.queryError(
          DatabaseError(resultCode: ResultCode(rawValue: code), message: message), path: path)
      }
      var statement: OpaquePointer?
      var rest = ""
      let code = sql.withCString { text in
        var tail: UnsafePointer<CChar>?
        let code = sqlite3_prepare_v2(database, text, -1, &statement, &tail)
        rest = tail.map { String(cString: $0) } ?? ""
        return code
      }
      guard code == SQLITE_OK else { throw failure(code) }
      guard let statement, try isEmpty(rest) else {
        sqlite3_finalize(statement)
        throw failure(SQLITE_MISUSE)
      }
      guard sqlite3_stmt_readonly(statement) != 0 else {
        sqlite3_finalize(statement)
        throw failure(SQLITE_READONLY)
      }
      return statement
    }

    /// Whether SQL holds no statement, but at most space and comments.
    private func isEmpty(_ sql: String) throws(CorpusError) -> Bool {
      var statement: OpaquePointer?
      let code = sqlite3_prepare_v2(database, sql, -1, &statement, nil)
      defer { sqlite3_finalize(statement) }
      return code == SQLITE_OK && statement == nil
    }
  }
}
