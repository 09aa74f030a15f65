public import Platform
public import Corpus
import GRDB
import GRDBSQLite
public import ShardStore

extension MetricIndex {
  /// Makes the index again from the shards alone; the old one serves until the new one is complete.
  ///
  /// - Parameter forgetsMissing: whether to forget runs that the old one knows and whose shards are gone.
  /// - Throws: `indexStale` for such runs, and leaves the old one in its place.
  public static func rebuild(
    _ directory: CorpusDirectory, forgetsMissing: Bool = false, cancellation: Cancellation = Cancellation(),
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Report {
    let locks = try RunLocks(directory)
    guard try locks.lock(RunLocks.rebuild) else {
      throw CorpusError(
        .resource, "another process is rebuilding the index of \(directory.path)",
        remedy: "wait until it has ended")
    }
    defer { locks.unlock(RunLocks.rebuild) }
    try TemporaryFile.removeLeftovers(of: directory.indexPath)
    let temporary = TemporaryFile.path(for: directory.indexPath)
    do throws(CorpusError) {
      let index = try MetricIndex(directory, path: temporary, isBulk: true)
      var report = try index.synchronize(cancellation: cancellation, progress: progress)
      if !forgetsMissing { try index.requireRuns(ofIndexBefore: directory) }
      try index.indexMetrics(cancellation: cancellation)
      try replace(directory) { () throws(CorpusError) in
        // What was stored meanwhile, and is in the old index only.
        report.ingested += try index.synchronize().ingested
        try index.close()
        try Files.publish(temporary, as: directory.indexPath)
      }
      return report
    } catch {
      for file in [temporary, temporary + "-journal"] { try? Files.remove(file) }
      throw error
    }
  }

  /// Refuses to take the place of an index that knows runs whose shards are gone, as far as that can be read.
  private func requireRuns(ofIndexBefore directory: CorpusDirectory) throws(CorpusError) {
    guard let known = try? IndexReader(opening: directory, allowStale: true).indexedRuns() else { return }
    let found = try write { Set(try Int64.fetchAll($0, sql: "SELECT run FROM runs")) }
    let missing = known.filter { !found.contains($0.key) && !Files.exists(directory.absolute($0.value.file)) }
    let files = Set(missing.values.map(\.file)).sorted()
    if let error = IndexDifference.missingError(files, directory) { throw error }
  }

  /// Does the replacement while no other process writes to the old index, if that is still a database. Those who read
  /// it go on in the old file.
  private static func replace(
    _ directory: CorpusDirectory, by body: () throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let path = directory.indexPath
    var configuration = Configuration()
    configuration.busyMode = .timeout(60)
    guard Files.exists(path),
      let old = try? DatabaseQueue(
        path: IndexFile.locator(path, withoutLocks: directory.isAlone), configuration: configuration),
      (try? old.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }) != nil
    else {
      // A journal would be rolled back into the new file.
      try Files.remove(path + "-journal")
      return try body()
    }
    do {
      // Those who wait for this lock find the file replaced, and open the new one.
      try old.inDatabase { database in
        try database.inTransaction(.immediate) {
          try body()
          return .rollback
        }
      }
    } catch {
      throw indexError(error, .write, path: path)
    }
  }
}

extension Database {
  /// Lets somebody's wish to stop end the statements of `body`, each of which may take minutes.
  func interruptible<Value>(by cancellation: Cancellation, _ body: () throws -> Value) rethrows
    -> Value
  {
    let isCancelled: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
      guard let context else { return 0 }
      return Unmanaged<Cancellation>.fromOpaque(context).takeUnretainedValue().isCancelled ? 1 : 0
    }
    let instructions: Int32 = 10_000
    sqlite3_progress_handler(
      sqliteConnection, instructions, isCancelled, Unmanaged.passUnretained(cancellation).toOpaque())
    defer { sqlite3_progress_handler(sqliteConnection, 0, nil, nil) }
    return try body()
  }
}
