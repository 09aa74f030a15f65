public import Corpus
public import ShardStore

extension IndexReader {
  /// Compares what the index says of a shard's runs with what the shard says.
  ///
  /// - Returns: a problem for each run on which they differ.
  public func audit(_ shard: ShardReader) throws(CorpusError) -> [CorpusError] {
    var problems: [CorpusError] = []
    for run in shard.runs where try !agrees(with: run, in: shard) {
      problems.append(
        CorpusError(
          .indexCorrupt, "\(directory.indexPath) disagrees with \(shard.path) on run \(run.seed)",
          remedy: "make it again with `corpus index --rebuild`"))
    }
    return problems
  }

  private func agrees(with run: StoredRun, in shard: ShardReader) throws(CorpusError) -> Bool {
    let names = directory.manifest.metrics.map(\.name)
    let row = try rows(
      """
      SELECT path, status, checkpoints, first_row, content_hash, runs.sum, sum_of_squares FROM runs
      JOIN shards USING (shard) WHERE run = \(run.seed)
      """)
    guard row.count == 1, row[0][4] == .text(run.contentHash.description) else { return false }
    let isHere = row[0][0] == .text(String(shard.path.dropFirst(directory.path.count + 1)))
    // Another, equal copy of the run may be the one that counts.
    guard isHere else { return true }
    let expectedRow: [SQLValue] = [
      .text(run.status.rawValue), .integer(Int64(run.count)), .integer(Int64(run.firstRow)),
      .text(run.contentHash.description), .number(run.sum), .number(run.sumOfSquares),
    ]
    guard Array(row[0].dropFirst()) == expectedRow else { return false }

    let checkpoints = try rows(
      "SELECT \((["step", "iteration"] + names).joined(separator: ", ")) FROM checkpoints "
        + "WHERE run = \(run.seed) ORDER BY step")
    let iterations = shard.iterations(of: run)
    let metrics = shard.metrics(of: run)
    let expected = (0..<run.count).map { step in
      [.integer(Int64(step)), .integer(Int64(iterations[step]))]
        + metrics.map { SQLValue.number(Double($0[step])) }
    }
    guard checkpoints == expected else { return false }

    let chunks = try rows(
      "SELECT first_step, offset, bytes FROM chunks WHERE run = \(run.seed) ORDER BY first_step")
    return chunks
      == run.chunks.enumerated().map { number, chunk in
        [
          .integer(Int64(number * shard.header.rowsPerChunk)), .integer(chunk.offset),
          .integer(Int64(chunk.bytes)),
        ]
      }
  }
}

extension SQLValue {
  /// A number as SQLite keeps it: what is not a number is NULL.
  fileprivate static func number(_ value: Double) -> SQLValue { value.isNaN ? .null : .real(value) }
}
