import Platform
import ShardStore
import Corpus
import GRDB

/// How an index differs from the shards that are there.
public struct IndexDifference: Sendable {
  /// Shards that were never taken up; relative to the corpus.
  public let new: [String]
  /// Shards that are not those that were taken up.
  public let changed: [String]
  /// Shards that were taken up and are gone.
  public let vanished: [String]

  public var isEmpty: Bool { unindexed.isEmpty && vanished.isEmpty }

  /// Shards to take up.
  public var unindexed: [String] { new + changed }

  init(_ database: Database, directory: CorpusDirectory) throws {
    // The table first: a shard that appears after that is merely new.
    let rows = try Row.fetchAll(database, sql: "SELECT path, bytes FROM shards")
    var known: [String: Int64] = [:]
    for row in rows { known[try row.value(0)] = try row.value(1) }
    var new: [String] = []
    var changed: [String] = []
    for file in try directory.shardFiles() {
      guard let bytes = known.removeValue(forKey: file) else {
        new.append(file)
        continue
      }
      if bytes != (try? Files.size(directory.absolute(file))) { changed.append(file) }
    }
    self.new = new
    self.changed = changed
    vanished = known.keys.filter { !Files.exists(directory.absolute($0)) }.sorted()
  }

  /// Without the runs that a living process is about to take up itself.
  func ignoringClaimed(_ directory: CorpusDirectory) -> IndexDifference {
    guard !isEmpty, let locks = try? RunLocks(directory, isReadOnly: true) else { return self }
    let isCompacting = locks.isLocked(RunLocks.compaction)
    let abandoned = new.filter { file in
      !(isCompacting || CorpusDirectory.seed(ofRunFile: file).map(locks.isLocked) ?? false)
    }
    return IndexDifference(new: abandoned, changed: changed, vanished: isCompacting ? [] : vanished)
  }

  private init(new: [String], changed: [String], vanished: [String]) {
    self.new = new
    self.changed = changed
    self.vanished = vanished
  }

  /// What to say of shards that are gone with their runs; nil if there are none.
  static func missingError(_ files: [String], _ directory: CorpusDirectory) -> CorpusError? {
    if files.isEmpty { return nil }
    let named = files.prefix(2).joined(separator: ", ") + (files.count > 2 ? ", …" : "")
    let what = files.count == 1 ? "a shard" : "\(files.count) shards"
    return CorpusError(
      .indexStale,
      "\(what) of \(directory.path) that the index knows \(files.count == 1 ? "is" : "are") gone (\(named))",
      remedy: "see whether the directory is mounted, restore them from a copy, or make their runs again with "
        + "`corpus repair \(directory.path)`; `corpus index --forget \(directory.path)` lets the index forget them"
    )
  }

  /// The refusal to answer from an index that is older than its shards.
  func staleError(_ directory: CorpusDirectory) -> CorpusError {
    if unindexed.isEmpty, var error = Self.missingError(vanished, directory) {
      error.remedy += "; or add --stale to use it as it is"
      return error
    }
    let files = unindexed + vanished
    let named = files.prefix(2).joined(separator: ", ") + (files.count > 2 ? ", …" : "")
    return CorpusError(
      .indexStale, "\(directory.indexPath) is older than \(files.count) of the shards (\(named))",
      remedy: "run `corpus index \(directory.path)`, or add --stale to use it as it is")
  }
}
