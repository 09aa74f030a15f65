public import Corpus
import GRDB
import GRDBSQLite

extension Database {
  /// SQL that somebody has written, in parentheses, to stand inside a statement of ours.
  ///
  /// It must be one expression by itself: `1) OR (1` closes a parenthesis that is ours, and would take the rest of our
  /// condition with it. Alone, SQLite does not accept it; and what it accepts alone but is more than an expression, such
  /// as `1 LIMIT 5`, it does not accept in parentheses. The line breaks end comments.
  ///
  /// - Parameter statement: our statement up to the expression, and from there on.
  /// - Throws: SQLite's refusal.
  func expression(_ sql: String, within statement: (before: String, after: String)) throws -> String {
    let inParentheses = "(\n\(sql)\n)"
    for form in [sql, inParentheses] {
      let prepared = try makeStatement(sql: "\(statement.before)\n\(form)\n\(statement.after)")
      // A value of ours would take such a place; and what follows a zero, SQLite would not see.
      guard sqlite3_bind_parameter_count(prepared.sqliteStatement) == 0, !sql.utf8.contains(0) else {
        throw DatabaseError(message: "a condition has no ?, and no zero character")
      }
    }
    return inParentheses
  }

  /// A condition on the columns of `runs`, or of `runs` and `checkpoints`, in parentheses.
  func condition(_ sql: String) throws -> String {
    if let ofRuns = try? expression(sql, within: ("SELECT 1 FROM runs WHERE", "")) { return ofRuns }
    return try expression(sql, within: ("SELECT 1 FROM checkpoints JOIN runs USING (run) WHERE", ""))
  }
}

extension IndexReader {
  /// Refuses what is not one SQL expression on the columns of `runs` and `checkpoints`.
  ///
  /// - Throws: `invalidSQL`.
  public func requireCondition(_ sql: String) throws(CorpusError) {
    try reading { database in _ = try database.condition(sql) }
  }
}
