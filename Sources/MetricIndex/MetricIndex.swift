public import Corpus
import Foundation
import Glibc
import GRDB
import ShardStore
import Synchronization

/// The writable index of a corpus. Any number of processes and threads may ingest into it at once.
public final class MetricIndex: Sendable {
  public let directory: CorpusDirectory
  private let path: String
  private let queue: Mutex<DatabaseQueue>

  /// Opens the index of a corpus, making an empty one where there is none.
  ///
  /// - Throws: `indexCorrupt` if it is damaged, of another version or of another corpus.
  public convenience init(openingOrCreating directory: CorpusDirectory) throws(CorpusError) {
    try self.init(directory, path: directory.indexPath)
  }

  init(_ directory: CorpusDirectory, path: String, isBulk: Bool = false) throws(CorpusError) {
    self.directory = directory
    self.path = path
    queue = Mutex(try Self.open(directory, path, isBulk: isBulk))
  }

  private var current: DatabaseQueue { queue.withLock { $0 } }

  /// - Parameter isBulk: for filling a new file that nobody else sees: faster, and not safe in a power cut.
  private static func open(
    _ directory: CorpusDirectory, _ path: String, isBulk: Bool
  ) throws(CorpusError) -> DatabaseQueue {
    try Claims.requireLocks(directory)
    // SQLite would make it writable for its owner alone, and shut out the others of a group.
    try Files.touch(path)
    do {
      var configuration = Configuration()
      // Rollback journal, not WAL: readers then need no write access, and network file systems work.
      configuration.busyMode = .timeout(60)
      configuration.prepareDatabase { database in
        // What a power cut may take from the index is in the shards.
        try database.execute(sql: "PRAGMA synchronous = \(isBulk ? "OFF" : "NORMAL")")
        try database.execute(sql: "PRAGMA cache_size = -65536")
      }
      // By ourselves, so that its mode is what the umask says: SQLite's own keeps a group out that shares the directory.
      if !Files.exists(path) { _ = try Descriptor(opening: path, O_RDWR | O_CREAT) }
      let queue = try DatabaseQueue(
        path: IndexFile.locator(path, withoutLocks: directory.isAlone), configuration: configuration)
      try queue.write { database in
        if try IndexSchema.isEmpty(database) {
          try IndexSchema.create(in: database, manifest: directory.manifest, indexingMetrics: !isBulk)
        } else {
          try IndexSchema.check(database, manifest: directory.manifest, path: path)
        }
      }
      return queue
    } catch {
      throw indexError(error, .write, path: path)
    }
  }

  /// Runs a transaction; once more on the new file if somebody has replaced the index meanwhile.
  func write<Value>(_ body: (Database) throws -> Value) throws(CorpusError) -> Value {
    var attempts = 0
    while true {
      do {
        return try current.write(body)
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

  /// Takes up shards that are new or have changed, each relative to the corpus, in one transaction.
  public func ingest(_ files: [String]) throws(CorpusError) {
    var shards: [(file: String, reader: ShardReader)] = []
    for file in files {
      let reader = try ShardReader(opening: directory.absolute(file))
      try reader.header.requireMember(of: directory.manifest, path: reader.path)
      try reader.requireName(file)
      shards.append((file, reader))
    }
    try write { database in
      let ingest = try Ingest(database, directory: directory)
      for shard in shards { try ingest.add(shard.file, shard.reader) }
      try ingest.finish()
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
  ///   - progress: called with the number of shards taken up and the number of those to take up.
  public func synchronize(
    forgetsMissing: Bool = false, cancellation: Cancellation = Cancellation(),
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Report {
    var report = Report()
    let difference = try difference()
    let pending = difference.unindexed
    // Files of single runs are small, so many go into one transaction.
    for start in stride(from: 0, to: pending.count, by: 64) {
      try cancellation.check()
      let batch = Array(pending[start..<min(start + 64, pending.count)])
      try ingest(batch, &report)
      progress(start + batch.count, pending.count)
    }
    // Copies of runs that are gone may lie in shards that were taken up long ago.
    var others = Report()
    if !difference.isEmpty {
      let shadowed = try write { try Ingest($0, directory: directory).shadowed() }
      try ingest(
        shadowed.filter { !pending.contains($0) && !difference.vanished.contains($0) }, &others)
    }
    report.problems += others.problems
    let missing = try write { database in
      let ingest = try Ingest(database, directory: directory)
      let missing = forgetsMissing ? [] : try difference.vanished.filter { try ingest.holdsRuns($0) }
      for file in difference.vanished where !missing.contains(file) { try ingest.forget(file) }
      try ingest.finish()
      return missing
    }
    report.missing = missing
    report.forgotten = difference.vanished.count - missing.count
    return report
  }

  /// Takes up many shards at once, or one by one if some of them are damaged.
  private func ingest(_ batch: [String], _ report: inout Report) throws(CorpusError) {
    do throws(CorpusError) {
      try ingest(batch)
      report.ingested += batch.count
    } catch  where error.concernsOneShard {
      for file in batch {
        do throws(CorpusError) {
          try ingest([file])
          report.ingested += 1
        } catch  where error.concernsOneShard {
          // A compaction may have moved its run meanwhile; the sealed shard is the compaction's to take up.
          if Files.exists(directory.absolute(file)) { report.problems.append(error) }
        }
      }
    }
  }

  /// How the index differs from the shards that are there.
  public func difference() throws(CorpusError) -> IndexDifference {
    do {
      return try current.read { try IndexDifference($0, directory: directory) }
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
