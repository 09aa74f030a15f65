public import Platform
public import ShardStore
public import Corpus

/// What a check of one shard found.
public struct ShardVerification: Sendable {
  public let file: String
  public var runs = 0
  public var checkpoints = 0
  /// Bytes of float32 that were decoded and found right.
  public var parameterBytes = 0
  /// Content hashes of the runs that are whole.
  public var hashes: [Int64: ContentHash] = [:]
  public var problems: [CorpusError] = []
  /// Nil where it cannot be opened.
  package private(set) var reader: ShardReader?

  /// Decodes every checkpoint of a shard and proves it against the checksums and hashes stored with it.
  public init(
    checking file: String, in directory: CorpusDirectory, cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) {
    self.file = file
    do throws(CorpusError) {
      try check(ShardReader(opening: file, of: directory), directory, cancellation)
    } catch {
      if error.code == .interrupted { throw error }
      problems.append(error)
    }
  }

  private mutating func check(
    _ shard: ShardReader, _ directory: CorpusDirectory, _ cancellation: Cancellation
  ) throws(CorpusError) {
    reader = shard
    try shard.checkChunkTable()
    var decoder = try RunDecoder(header: shard.header)
    for (index, stored) in shard.runs.enumerated() {
      try cancellation.check()
      do throws(CorpusError) {
        let run = try decoder.run(at: index, in: shard)
        runs += 1
        checkpoints += run.count
        parameterBytes += 4 * run.parameters.count
        hashes[run.seed] = stored.contentHash
      } catch {
        problems.append(error)
      }
    }
  }
}
