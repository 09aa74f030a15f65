public import Corpus
import Foundation
import GRDB
import ShardStore

/// The writable index of a corpus. Any number of processes and threads may ingest into it at once.
public final class MetricIndex: Sendable {
  public let directory: CorpusDirectory
  private let queue: DatabaseQueue
  private let path: String

  /// Opens the index of a corpus, making an empty one where there is none.
  ///
  /// - Throws: `indexCorrupt` if it is damaged, of another version or of another corpus.
  public convenience init(openingOrCreating directory: CorpusDirectory) throws(CorpusError) {
    try self.init(directory, path: directory.indexPath, bulk: false)
  }

  private init(_ directory: CorpusDirectory, path: String, bulk: Bool) throws(CorpusError) {
    self.directory = directory
    self.path = path
    do {
      var configuration = Configuration()
      // Rollback journal, not WAL: readers then need no write access, and network file systems work.
      configuration.busyMode = .timeout(60)
      configuration.prepareDatabase { database in
        // What a power cut may take from the index is in the shards.
        try database.execute(sql: "PRAGMA synchronous = \(bulk ? "OFF" : "NORMAL")")
        try database.execute(sql: "PRAGMA cache_size = -65536")
      }
      queue = try DatabaseQueue(path: path, configuration: configuration)
      try queue.write { database in
        if try database.tableExists("shards") {
          try IndexSchema.check(database, manifest: directory.manifest, path: path)
        } else {
          try IndexSchema.create(in: database, manifest: directory.manifest, indexingMetrics: !bulk)
        }
      }
    } catch {
      throw indexError(error, path: path)
    }
  }

  /// Takes up shards that are new or have changed, each relative to the corpus, in one transaction.
  public func ingest(_ files: [String]) throws(CorpusError) {
    var shards: [(file: String, reader: ShardReader)] = []
    for file in files {
      let reader = try ShardReader(opening: directory.absolute(file))
      try reader.header.requireMember(of: directory.manifest, path: reader.path)
      shards.append((file, reader))
    }
    do {
      try queue.write { [shards] database in
        let ingest = try Ingest(database, directory: directory)
        for shard in shards { try ingest.add(shard.file, shard.reader) }
        try ingest.finish()
      }
    } catch {
      throw indexError(error, path: path)
    }
  }

  /// What a synchronisation did.
  public struct Report: Sendable {
    public var ingested = 0
    public var forgotten = 0
    /// Shards that could not be taken up.
    public var problems: [CorpusError] = []
  }

  /// Makes the index agree with the shards that are there: takes up new and changed ones, forgets lost ones.
  ///
  /// - Parameter progress: called with the number of shards taken up and the number of those to take up.
  public func synchronize(
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Report {
    var report = Report()
    let difference = try difference()
    let pending = difference.unindexed
    // Files of single runs are small, so many go into one transaction.
    for start in stride(from: 0, to: pending.count, by: 64) {
      try cancellation.check()
      let batch = Array(pending[start..<min(start + 64, pending.count)])
      do throws(CorpusError) {
        try ingest(batch)
        report.ingested += batch.count
      } catch let error where error.concernsOneShard {
        for file in batch {
          do throws(CorpusError) {
            try ingest([file])
            report.ingested += 1
          } catch let error where error.concernsOneShard {
            report.problems.append(error)
          }
        }
      }
      progress(start + batch.count, pending.count)
    }
    do {
      let forgotten = try queue.write { [directory] database in
        let ingest = try Ingest(database, directory: directory)
        for file in difference.vanished { try ingest.forget(file) }
        try ingest.finish()
        return difference.vanished.count
      }
      report.forgotten = forgotten
    } catch {
      throw indexError(error, path: path)
    }
    return report
  }

  /// How the index differs from the shards that are there.
  public func difference() throws(CorpusError) -> IndexDifference {
    do {
      return try queue.read { [directory] in try IndexDifference($0, directory: directory) }
    } catch {
      throw indexError(error, path: path)
    }
  }

  /// Makes the index again from the shards alone; the old one serves readers until the new one is complete.
  public static func rebuild(
    _ directory: CorpusDirectory, cancellation: Cancellation = Cancellation(),
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Report {
    let claims = try Claims(directory: directory.path)
    guard try claims.take(Claims.rebuild) else {
      throw CorpusError(
        .resource, "another process is rebuilding the index of \(directory.path)",
        remedy: "wait until it has ended")
    }
    defer { claims.release(Claims.rebuild) }
    let temporary = Files.temporaryPath(for: directory.indexPath)
    try removeDatabase(temporary)
    let report: Report
    do throws(CorpusError) {
      report = try fill(temporary, directory, cancellation, progress)
    } catch {
      try? removeDatabase(temporary)
      throw error
    }
    // A journal left by a killed writer belongs to the old file, and must not be rolled back into the new one.
    try Files.remove(directory.indexPath + "-journal")
    try Files.publish(temporary, as: directory.indexPath)
    return report
  }

  private static func fill(
    _ temporary: String, _ directory: CorpusDirectory, _ cancellation: Cancellation,
    _ progress: (Int, Int) -> Void
  ) throws(CorpusError) -> Report {
    let index = try MetricIndex(directory, path: temporary, bulk: true)
    let report = try index.synchronize(cancellation: cancellation, progress: progress)
    do {
      try index.queue.write { try IndexSchema.indexMetrics(in: $0, manifest: directory.manifest) }
      try index.queue.close()
    } catch {
      throw indexError(error, path: temporary)
    }
    return report
  }

  private static func removeDatabase(_ path: String) throws(CorpusError) {
    for suffix in ["", "-journal"] { try Files.remove(path + suffix) }
  }
}

extension CorpusError {
  /// Whether other shards may well be fine.
  var concernsOneShard: Bool {
    switch code {
    case .damagedShard, .foreignShard, .conflictingRuns, .unsupportedVersion, .inputOutput: true
    default: false
    }
  }
}
