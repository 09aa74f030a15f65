import ShardStore
import Platform
package import Corpus
import GRDB

/// What somebody was about to do with the index when SQLite failed.
enum IndexUse: String {
  case read, write
}

/// What SQLite says, as an error that names the index and the remedy.
func indexError(_ error: any Error, _ use: IndexUse, path: String) -> CorpusError {
  if let error = error as? CorpusError { return error }
  let rebuild = "make it again with `corpus index --rebuild \(Files.split(path).directory)`"
  guard let error = error as? DatabaseError else {
    // What GRDB says besides is for programmers.
    return CorpusError(.inputOutput, "cannot \(use) \(path)", remedy: rebuild)
  }
  let cause = error.message
  switch error.resultCode {
  case .SQLITE_NOTADB, .SQLITE_CORRUPT:
    return CorpusError(
      .indexCorrupt, "\(path) is corrupt", remedy: "\(rebuild); the shards hold all it says", cause: cause)
  case .SQLITE_FULL, .SQLITE_IOERR:
    // Of what is wrong with a disk SQLite tells apart only ENOSPC; a quota is an I/O error to it.
    let state = error.resultCode == .SQLITE_FULL ? "full" : "full or faulty"
    return CorpusError(
      .diskFull, "cannot \(use) \(path): the disk is \(state)",
      remedy: "free some space and run the same command again; nothing stored was lost", cause: cause)
  case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
    let remedy =
      use == .read
      ? "check that \(path) is a file that you may read"
      : "make it and its directory writable for you, as by `chmod g+w`, or \(rebuild)"
    return CorpusError(.readOnly, "cannot \(use) \(path): no permission", remedy: remedy, cause: cause)
  case .SQLITE_BUSY, .SQLITE_LOCKED:
    return CorpusError(
      .resource, "\(path) is in use by another process",
      remedy: "run the same command again when that has ended; nothing stored was lost", cause: cause)
  case .SQLITE_INTERRUPT:
    return CorpusError(
      .interrupted, "the query was interrupted", remedy: "ask for less, or wait longer")
  default:
    return CorpusError(
      .inputOutput, "cannot \(use) \(path)", remedy: "check the disk, or \(rebuild)", cause: cause)
  }
}

extension Row {
  /// A value of a column, of the type that an index of ours has there.
  ///
  /// GRDB's own subscripts end the process where a damaged index has another one.
  func value<Value: DatabaseValueConvertible>(_ column: Int) throws -> Value {
    guard let value = Value.fromDatabaseValue(self[column]) else { throw corrupt(column) }
    return value
  }

  /// The refusal of a value that cannot be.
  func corrupt(_ column: Int) -> DatabaseError {
    let value: DatabaseValue = self[column]
    return DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the value \(value) cannot be")
  }
}

extension CorpusDirectory {
  /// The refusal of an index that is damaged or contradicts itself or the shards.
  ///
  /// - Parameter what: what is wrong with it, as what is said of a file.
  package func indexCorrupt(_ what: String = "is corrupt", cause: String? = nil) -> CorpusError {
    CorpusError(
      .indexCorrupt, "\(indexPath) \(what)",
      remedy: "make it again with `corpus index --rebuild \(path)`", cause: cause)
  }

  /// The refusal of an index that says something else than the shards.
  ///
  /// - Parameter what: what differs, as a sentence.
  package func indexStale(_ what: String) -> CorpusError {
    CorpusError(
      .indexStale, what, remedy: "make the index again with `corpus index --rebuild \(path)`")
  }

  /// The same for the number of a run's checkpoints.
  ///
  /// - Parameter known: how many it has by the index.
  package func indexStale(
    _ run: Int64, in shard: String, checkpoints: Int, _ known: some BinaryInteger
  ) -> CorpusError {
    indexStale("run \(run) in \(shard) has \(checkpoints) checkpoints, and the index says \(known)")
  }
}
