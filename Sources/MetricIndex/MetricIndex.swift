public import Platform
public import Corpus
import Foundation
import Glibc
import GRDB
import GRDBSQLite
public import ShardStore
import Synchronization

/// The writable index of a corpus. Any number of processes and threads may ingest into it at once.
public final class MetricIndex: Sendable {
  public let directory: CorpusDirectory
  private let path: String
  private let isBulk: Bool
  private let queue: Mutex<DatabaseQueue>

  /// How long to wait for those who read or change the index, unless somebody says otherwise.
  private static let patience = Duration.seconds(60)

  /// Opens the index of a corpus, making an empty one where there is none.
  ///
  /// - Throws: `indexCorrupt` if it is damaged, of another version or of another corpus.
  public convenience init(openingOrCreating directory: CorpusDirectory) throws(CorpusError) {
    try self.init(directory, path: directory.indexPath)
  }

  init(_ directory: CorpusDirectory, path: String, isBulk: Bool = false) throws(CorpusError) {
    self.directory = directory
    self.path = path
    self.isBulk = isBulk
    queue = Mutex(try Self.open(directory, path, isBulk: isBulk))
  }

  private var current: DatabaseQueue { queue.withLock { $0 } }

  /// - Parameter isBulk: for filling a new file that nobody else sees: faster, and not safe in a power cut.
  private static func open(
    _ directory: CorpusDirectory, _ path: String, isBulk: Bool
  ) throws(CorpusError) -> DatabaseQueue {
    try RunLocks.requireLocks(directory)
    // SQLite would make it writable for its owner alone, and shut out the others of a group.
    try Files.touch(path)
    do {
      var configuration = Configuration()
      // Rollback journal, not WAL: readers then need no write access, and network file systems work. A reader who never
      // ends keeps changes out as long as it lives, and so those who store runs never wait for the index: CorpusWriter.
      configuration.busyMode = .timeout(patience / .seconds(1))
      configuration.prepareDatabase { database in
        // What a power cut may take from the index is in the shards.
        try database.execute(sql: "PRAGMA synchronous = \(isBulk ? "OFF" : "NORMAL")")
        try database.execute(sql: "PRAGMA cache_size = -65536")
        // Some distributions overwrite what is deleted: every page of an index that is dropped.
        try database.execute(sql: "PRAGMA secure_delete = OFF")
        // Sorts for the indexes on metrics by several threads.
        if isBulk { try database.execute(sql: "PRAGMA threads = \(min(Workers.available, 4))") }
      }
      let queue = try DatabaseQueue(
        path: IndexFile.locator(path, withoutLocks: directory.isAlone), configuration: configuration)
      if try queue.read(IndexSchema.isEmpty) {
        try queue.write { database in
          // Another process may have been faster.
          guard try IndexSchema.isEmpty(database) else { return }
          try IndexSchema.create(in: database, manifest: directory.manifest)
        }
      }
      try queue.read { try IndexSchema.check($0, manifest: directory.manifest, path: path) }
      if try queue.read({ try IndexSchema.version(of: $0) }) < IndexSchema.version {
        try queue.inDatabase { database in
          try database.inTransaction(.exclusive) {
            try IndexSchema.upgrade(database, manifest: directory.manifest)
            return .commit
          }
        }
      }
      return queue
    } catch {
      throw indexError(error, .write, path: path)
    }
  }

  /// Runs a transaction; once more on the new file if somebody has replaced the index meanwhile.
  ///
  /// It is exclusive from its beginning, so that who reads meanwhile is found before anything is done in vain.
  ///
  /// - Returns: nil if others have kept it from beginning for so long.
  func write<Value>(
    patience: Duration, _ body: (Database) throws -> Value
  ) throws(CorpusError) -> Value? {
    var attempts = 0
    while true {
      do {
        return try current.inDatabase { database in
          sqlite3_busy_timeout(database.sqliteConnection, Int32(patience / .milliseconds(1)))
          defer { sqlite3_busy_timeout(database.sqliteConnection, Int32(Self.patience / .milliseconds(1))) }
          var value: Value?
          try database.inTransaction(.exclusive) {
            value = try body(database)
            return .commit
          }
          return value
        }
      } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
        return nil
      } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_READONLY_DBMOVED {
        attempts += 1
        guard attempts < 10 else { throw indexError(error, .write, path: path) }
        let reopened = try Self.open(directory, path, isBulk: false)
        queue.withLock { $0 = reopened }
      } catch {
        throw indexError(error, .write, path: path)
      }
    }
  }

  /// Runs a transaction, and waits for others as long as is usual.
  func write<Value>(_ body: (Database) throws -> Value) throws(CorpusError) -> Value {
    if let value = try write(patience: Self.patience, body) { return value }
    throw indexError(DatabaseError(resultCode: .SQLITE_BUSY), .write, path: path)
  }

  /// Takes up shards that are new or have changed, each relative to the corpus, in one transaction.
  public func ingest(_ files: [String]) throws(CorpusError) {
    var shards: [(file: String, reader: ShardReader)] = []
    for file in files { shards.append((file, try OpenedShard(file, of: directory).reader.get())) }
    try write { try add(shards, in: $0) }
  }

  /// Takes up shards in one transaction, unless others keep the index for as long as the patience lasts.
  ///
  /// - Returns: whether they were taken up.
  public func ingest(_ files: [String], patience: Duration) throws(CorpusError) -> Bool {
    var report = Report()
    let isTaken = try ingest(files, &report, patience)
    if let problem = report.problems.first { throw problem }
    return isTaken
  }

  private func add(_ shards: [(file: String, reader: ShardReader)], in database: Database) throws {
    let ingest = try Ingest(database, directory: directory, keepsMetricIndexes: isBulk)
    for (file, reader) in shards { try ingest.add(file, reader) }
    try ingest.finish()
  }

  /// Makes the indexes on the metrics, where they were dropped.
  ///
  /// - Parameter patience: how long to wait for others. Given one, the indexes are made only if much is new, and are
  ///   left to others who come for the index itself if there is no getting at it.
  package func indexMetrics(patience: Duration? = nil, cancellation: Cancellation = Cancellation())
    throws(CorpusError)
  {
    if let patience {
      guard try read(IndexSchema.isMuchUnindexed) else { return }
      _ = try write(patience: patience) { try indexMetrics(in: $0, cancellation) }
    } else if try !read(IndexSchema.areMetricsIndexed) {
      try write { try indexMetrics(in: $0, cancellation) }
    }
  }

  private func indexMetrics(in database: Database, _ cancellation: Cancellation) throws {
    try database.interruptible(by: cancellation) {
      try IndexSchema.indexMetrics(in: database, manifest: directory.manifest)
    }
  }

  /// What a synchronisation did.
  public struct Report: Sendable {
    public var ingested = 0
    public var forgotten = 0
    /// Shards that could not be taken up.
    public var problems: [CorpusError] = []
    /// Shards that are gone with runs that the index knows, and lie nowhere else.
    public var missing: [String] = []
    /// Shards that were left to the next time, as others would not let go of the index.
    public var postponed = 0

    package init() {}

    /// What to say of those that are missing still; nil if none is.
    public func missingError(_ directory: CorpusDirectory) -> CorpusError? {
      IndexDifference.missingError(missing.filter { !Files.exists(directory.absolute($0)) }, directory)
    }
  }

  /// Makes the index agree with the shards that are there: takes up new and changed ones.
  ///
  /// What is gone without having been moved stays known as missing: a disk may not be mounted, and the index is what
  /// `corpus repair` knows lost runs by.
  ///
  /// - Parameters:
  ///   - forgetsMissing: whether to forget such runs.
  ///   - patience: how long to wait for others who read or change the index, by who has come for something else, and does
  ///     not mind what is left; such callers call ``CorpusWriter/finish(patience:)`` later. By default as long as is
  ///     usual, and then that is an error; and the metrics get their indexes.
  ///   - progress: called with the number of shards taken up and the number of those to take up.
  public func synchronize(
    forgetsMissing: Bool = false, patience: Duration? = nil, cancellation: Cancellation = Cancellation(),
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Report {
    let report = try update(forgetsMissing, patience, cancellation, progress)
    if patience == nil, !isBulk { try indexMetrics(cancellation: cancellation) }
    return report
  }

  private func update(
    _ forgetsMissing: Bool, _ patience: Duration?, _ cancellation: Cancellation,
    _ progress: (Int, Int) -> Void
  ) throws(CorpusError) -> Report {
    var report = Report()
    let difference = try difference()
    let pending = difference.unindexed
    var done = 0
    try OpenedShard.open(Self.batches(of: pending), of: directory) { (batch) throws(CorpusError) in
      try cancellation.check()
      guard try ingest(batch, &report, patience) else { return false }
      done += batch.count
      progress(done, pending.count)
      return true
    }
    report.postponed = pending.count - done
    if difference.isEmpty || report.postponed > 0 { return report }
    // Copies of runs that are gone may lie in shards that were taken up long ago.
    var others = Report()
    let known = Set(pending + difference.vanished)
    let shadowed = try read { try Ingest($0, directory: directory).shadowed() }.filter { !known.contains($0) }
    if !shadowed.isEmpty { _ = try ingest(shadowed, &others, patience) }
    report.problems += others.problems
    if difference.vanished.isEmpty { return report }
    func missing(_ ingest: Ingest) throws -> [String] {
      forgetsMissing ? [] : try difference.vanished.filter { try ingest.holdsRuns($0) }
    }
    let kept = try write(patience: patience ?? Self.patience) { database in
      let ingest = try Ingest(database, directory: directory)
      let kept = try missing(ingest)
      for file in difference.vanished where !kept.contains(file) { try ingest.forget(file) }
      try ingest.finish()
      return kept
    }
    if let kept {
      report.missing = kept
      report.forgotten = difference.vanished.count - kept.count
    } else {
      report.missing = try read { try missing(Ingest($0, directory: directory)) }
    }
    return report
  }

  package static let filesPerTransaction = 256

  /// Files of single runs are small, so many go into one transaction.
  private static func batches(of files: [String]) -> [[String]] {
    var batches: [[String]] = []
    var rest = files[...]
    while let first = rest.first {
      let single = rest.prefix(filesPerTransaction).prefix { !CorpusDirectory.isSealed($0) }
      let batch = single.isEmpty ? [first] : Array(single)
      batches.append(batch)
      rest = rest.dropFirst(batch.count)
    }
    return batches
  }

  package func ingest(
    _ files: [String], _ report: inout Report, _ patience: Duration?
  ) throws(CorpusError) -> Bool {
    try ingest(files.map { OpenedShard($0, of: directory) }, &report, patience)
  }

  /// Takes up many shards at once, or one by one if some of them contradict others.
  ///
  /// - Returns: false if others have kept the index for as long as the patience lasts; without one, that is an error.
  private func ingest(
    _ batch: [OpenedShard], _ report: inout Report, _ patience: Duration?
  ) throws(CorpusError) -> Bool {
    func take(_ shards: [(file: String, reader: ShardReader)]) throws(CorpusError) -> Bool {
      if shards.isEmpty { return true }
      if let patience { return try write(patience: patience) { try add(shards, in: $0) } != nil }
      try write { try add(shards, in: $0) }
      return true
    }
    func note(_ error: CorpusError, _ file: String) throws(CorpusError) {
      guard error.concernsOneShard else { throw error }
      // A compaction may have moved its run meanwhile; the sealed shard is the compaction's to take up.
      if Files.exists(directory.absolute(file)) { report.problems.append(error) }
    }
    var shards: [(file: String, reader: ShardReader)] = []
    for shard in batch {
      do throws(CorpusError) {
        shards.append((shard.file, try shard.reader.get()))
      } catch {
        try note(error, shard.file)
      }
    }
    do throws(CorpusError) {
      guard try take(shards) else { return false }
      report.ingested += shards.count
    } catch  where error.concernsOneShard {
      for shard in shards {
        do throws(CorpusError) {
          guard try take([shard]) else { return false }
          report.ingested += 1
        } catch {
          try note(error, shard.file)
        }
      }
    }
    return true
  }

  /// How the index differs from the shards that are there.
  public func difference() throws(CorpusError) -> IndexDifference {
    try read { try IndexDifference($0, directory: directory) }
  }

  private func read<Value>(_ body: (Database) throws -> Value) throws(CorpusError) -> Value {
    do {
      return try current.read(body)
    } catch {
      throw indexError(error, .read, path: path)
    }
  }

  /// Closes the file, for who is about to rename it.
  func close() throws(CorpusError) {
    do {
      try current.close()
    } catch {
      throw indexError(error, .write, path: path)
    }
  }
}

extension CorpusError {
  /// Whether other shards may well be fine.
  var concernsOneShard: Bool {
    switch code {
    case .damagedShard, .foreignShard, .conflictingRuns, .unsupportedVersion, .inputOutput, .readOnly: true
    default: false
    }
  }
}
