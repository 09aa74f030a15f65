import Corpus
import GRDB

/// How an index differs from the shards that are there.
public struct IndexDifference: Sendable {
  /// Shards that are new, or have changed since they were taken up; relative to the corpus.
  public let unindexed: [String]
  /// Shards that were taken up and are gone.
  public let vanished: [String]

  public var isEmpty: Bool { unindexed.isEmpty && vanished.isEmpty }

  init(_ database: Database, directory: CorpusDirectory) throws {
    // The table first: a shard that appears after that is merely new.
    let rows = try Row.fetchAll(database, sql: "SELECT path, bytes, modified FROM shards")
    var known: [String: (bytes: Int64, modified: Int64)] = [:]
    for row in rows { known[row[0]] = (row[1], row[2]) }
    var unindexed: [String] = []
    for file in try directory.shardFiles() {
      let status = try Files.status(directory.absolute(file))
      if let known = known.removeValue(forKey: file), known == status { continue }
      unindexed.append(file)
    }
    self.unindexed = unindexed
    vanished = known.keys.filter { !unindexed.contains($0) && !Files.exists(directory.absolute($0)) }.sorted()
  }

  /// Without the runs that a living process is about to take up itself.
  func ignoringClaimed(_ directory: CorpusDirectory) -> IndexDifference {
    guard !isEmpty, let claims = try? Claims(directory: directory.path, readOnly: true) else { return self }
    let isCompacting = claims.isTaken(Claims.compaction)
    return IndexDifference(
      unindexed: unindexed.filter { file in
        let name = file.drop { $0 != "/" }.dropFirst().dropLast(3)
        return !(isCompacting || Int64(name).map(claims.isTaken) ?? false)
      }, vanished: isCompacting ? [] : vanished)
  }

  private init(unindexed: [String], vanished: [String]) {
    self.unindexed = unindexed
    self.vanished = vanished
  }

  /// The refusal to answer from an index that is older than its shards.
  func staleError(_ directory: CorpusDirectory) -> CorpusError {
    let files = unindexed + vanished
    let named = files.prefix(2).joined(separator: ", ") + (files.count > 2 ? ", …" : "")
    return CorpusError(
      .indexStale, "\(directory.indexPath) is older than \(files.count) of the shards (\(named))",
      remedy: "run `corpus index \(directory.path)`, or add --stale to use it as it is")
  }
}
