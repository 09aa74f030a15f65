import Platform
package import ShardStore
package import Corpus

/// Which runs are stored where, from the shards themselves. Serves one thread.
package struct StoredRuns {
  /// A sealed run's place.
  package struct Sealed {
    package let file: String
    package let contentHash: ContentHash
  }

  private let directory: CorpusDirectory
  private var knownShards: Set<String> = []
  package private(set) var sealed: [Int64: Sealed] = [:]
  /// Sealed shards that cannot be read.
  package private(set) var problems: [CorpusError] = []

  package init(_ directory: CorpusDirectory) throws(CorpusError) {
    self.directory = directory
    try refresh()
  }

  /// Takes note of shards that were sealed since the last time.
  package mutating func refresh() throws(CorpusError) {
    for name in try Files.names(in: directory.shardsPath) {
      let file = "shards/\(name)"
      guard CorpusDirectory.isSealed(file), knownShards.insert(file).inserted else { continue }
      do throws(CorpusError) {
        let shard = try ShardReader(opening: file, of: directory)
        for run in shard.runs where sealed[run.seed] == nil {
          sealed[run.seed] = Sealed(file: file, contentHash: run.contentHash)
        }
      } catch {
        problems.append(error)
      }
    }
  }

  /// Whether a run is stored, singly or sealed, as of now.
  package mutating func contains(_ seed: Int64) throws(CorpusError) -> Bool {
    // The single file first: compaction removes it only after the sealed one has its name.
    if directory.presentRunFile(seed: seed) != nil { return true }
    try refresh()
    return sealed[seed] != nil
  }
}
