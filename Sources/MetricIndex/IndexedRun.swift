public import Corpus
import GRDB
import ShardStore

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
  public func reindex(_ file: String) throws(CorpusError) {
    let reader = try ShardReader(opening: directory.absolute(file))
    try write { database in
      let ingest = try Ingest(database, directory: directory)
      try ingest.forget(file)
      try ingest.add(file, reader)
      try ingest.finish()
    }
  }
}
