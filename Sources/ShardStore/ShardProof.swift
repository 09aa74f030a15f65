import Platform
package import Corpus

/// The proof that a new shard holds what was written to it, before anything else is given up for it.
package struct ShardProof {
  let header: ShardHeader
  /// Of its runs, in their order.
  let hashes: [ContentHash]
  /// How many runs are decoded at a time.
  let workers: Int

  package init(header: ShardHeader, hashes: [ContentHash], workers: Int) {
    (self.header, self.hashes, self.workers) = (header, hashes, workers)
  }

  /// Reads a closed and synchronised file back from the disk, decodes every run, and compares their content hashes.
  ///
  /// - Parameters:
  ///   - temporary: where the file lies.
  ///   - path: the name that it is to have, for errors.
  /// - Throws: `inputOutput` if it does not hold them.
  package func require(_ temporary: String, as path: String) throws(CorpusError) {
    do throws(CorpusError) {
      let shard = try ShardReader(opening: temporary)
      guard shard.header == header, shard.runs.map(\.contentHash) == hashes else {
        throw CorpusError.damagedShard(temporary, "it does not list the runs that were written to it")
      }
      try shard.checkChunkTable()
      try parallelForEach(
        Array(shard.runs.indices), workers: workers,
        state: { [header] () throws(CorpusError) in try RunDecoder(header: header) }
      ) { (index, decoder) throws(CorpusError) in _ = try decoder.run(at: index, in: shard) }
    } catch {
      throw CorpusError(
        .inputOutput, "what was written to \(path) does not read back as it was",
        remedy: "the disk or the memory is failing; nothing was replaced or removed for it: "
          + "run the same command again, best on another machine", cause: "\(error)")
    }
  }
}
