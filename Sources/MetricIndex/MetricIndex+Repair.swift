public import Platform
public import Corpus
import GRDB
public import ShardStore

/// What the index says of a run, whatever has become of its file.
public struct IndexedRun: Hashable, Sendable {
  /// The shard that holds it, relative to the corpus.
  public let file: String
  public let contentHash: ContentHash
}

extension IndexReader {
  /// All runs that the index knows, by their numbers.
  public func indexedRuns() throws(CorpusError) -> [Int64: IndexedRun] {
    var runs: [Int64: IndexedRun] = [:]
    try query(
      "SELECT run, path, content_hash FROM runs JOIN shards USING (shard)", columns: { _ in },
      row: { row in
        guard case .integer(let run) = row[0], let file = row[1].text,
          let hash = row[2].text.flatMap(ContentHash.init)
        else { return }
        runs[run] = IndexedRun(file: file, contentHash: hash)
      })
    return runs
  }
}

extension MetricIndex {
  /// Takes up a shard anew, forgetting all that was known of it: what an index took up from a damaged shard may
  /// itself be wrong.
  public func retake(_ file: String) throws(CorpusError) {
    let reader = try ShardReader(opening: directory.absolute(file))
    try write { database in
      let ingest = try Ingest(database, directory: directory)
      try ingest.forget(file)
      try ingest.add(file, reader)
      try ingest.finish()
    }
  }

  /// Makes the index agree with the shards in all that it says, anew if it must be.
  ///
  /// - Returns: what was wrong with it where it was made anew; nil where it was only brought up to date.
  public static func heal(
    _ directory: CorpusDirectory, cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) -> CorpusError? {
    let problem: CorpusError?
    do throws(CorpusError) {
      problem = try firstDisagreement(directory, cancellation)
    } catch  where error.code == .indexCorrupt {
      problem = error
    }
    guard let problem else { return nil }
    // A repair has made sure that none is missing.
    _ = try rebuild(directory, forgetsMissing: true, cancellation: cancellation)
    return problem
  }

  private static func firstDisagreement(
    _ directory: CorpusDirectory, _ cancellation: Cancellation
  ) throws(CorpusError) -> CorpusError? {
    let unusable = try MetricIndex(openingOrCreating: directory).synchronize(cancellation: cancellation)
      .problems
    let reader = try IndexReader(opening: directory, allowStale: true)
    guard try reader.rows("PRAGMA quick_check(1)").first?.first == .text("ok") else {
      return CorpusError(
        .indexCorrupt, "\(directory.indexPath) is corrupt",
        remedy: "make it again with `corpus index --rebuild \(directory.path)`")
    }
    var runs: Set<Int64> = []
    for file in try directory.shardFiles() {
      try cancellation.check()
      // What cannot be read is not the index's fault.
      guard let shard = try? ShardReader(opening: file, of: directory) else { continue }
      if let problem = try reader.audit(shard).first { return problem }
      runs.formUnion(shard.runs.map(\.seed))
    }
    return unusable.isEmpty ? try reader.audit(runs: runs).first : nil
  }
}
