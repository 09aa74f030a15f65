public import MetricIndex
public import Platform
public import Corpus
public import ShardStore

extension IndexReader {
  /// Has SQLite look through the whole file.
  ///
  /// - Throws: `indexCorrupt` if it finds something.
  func requireWhole(_ cancellation: Cancellation) throws(CorpusError) {
    let answer = try rows("PRAGMA quick_check(1)", cancellation: cancellation).first?.first
    guard answer == .text("ok") else { throw directory.indexCorrupt(cause: answer?.text) }
  }

  /// Compares what the index says of a shard's runs with what the shard says.
  ///
  /// - Returns: a problem for each run on which they differ.
  public func audit(_ shard: ShardReader) throws(CorpusError) -> [CorpusError] {
    var problems: [CorpusError] = []
    if try !describes(shard) {
      problems.append(directory.indexCorrupt("describes \(shard.path) wrongly"))
    }
    for run in shard.runs where try !agrees(with: run, in: shard) {
      problems.append(directory.indexCorrupt("disagrees with \(shard.path) on run \(run.seed)"))
    }
    return problems
  }

  /// Compares the index as a whole with the shards: it must hold these runs and no others, each on its side of
  /// the split, and nothing that belongs to no run.
  public func audit(
    runs: Set<Int64>, _ cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) -> [CorpusError] {
    func differs(_ what: String) -> CorpusError {
      directory.indexCorrupt("disagrees with the shards on \(what)")
    }
    var problems: [CorpusError] = []
    let indexed = try rows("SELECT run, split FROM runs ORDER BY run")
    let numbers = indexed.compactMap { row -> Int64? in
      if case .integer(let run) = row[0] { run } else { nil }
    }
    let others = Set(numbers).symmetricDifference(runs)
    if let example = others.min() {
      problems.append(differs("which runs there are, such as run \(example)"))
    }
    let training = numbers.count - directory.manifest.split.testCount(runs: numbers.count)
    let isSplit = indexed.enumerated().allSatisfy { $1[1] == .text($0 < training ? "train" : "test") }
    if !isSplit { problems.append(differs("the split")) }
    // Those of each run were compared. So to count all is enough, which SQLite does without looking into any.
    let known = [
      ("checkpoints", "checkpoints"), ("chunks", "(checkpoints + rows_per_chunk - 1) / rows_per_chunk"),
    ]
    for (table, ofRun) in known {
      let equal = try rows(
        "SELECT coalesce(sum(\(ofRun)), 0) = (SELECT count(*) FROM \(table)) FROM runs JOIN shards USING (shard)",
        cancellation: cancellation)
      if equal != [[.integer(1)]] { problems.append(differs("\(table), some of which belong to no run")) }
    }
    guard try hasImprovements() else { return problems }
    for metric in directory.manifest.metrics {
      let table = "improvements_\(metric.name)"
      let orphans = try rows(
        "SELECT count(*) FROM \(table) WHERE run NOT IN (SELECT run FROM runs)", cancellation: cancellation)
      if orphans != [[.integer(0)]] { problems.append(differs("\(table), some of which belong to no run")) }
    }
    return problems
  }

  /// Whether table `shards` describes a shard as it is, or does not know it, as one that a compaction has just made: that
  /// an index lacks shards is found when it is opened.
  private func describes(_ shard: ShardReader) throws(CorpusError) -> Bool {
    let file = String(shard.path.dropFirst(directory.path.count + 1))
    let said = try rows("SELECT bytes, runs, codec, rows_per_chunk FROM shards WHERE path = '\(file)'")
    let expected: [SQLValue] = [
      .integer(try Files.size(shard.path)), .integer(Int64(shard.runs.count)),
      .text(shard.header.codec.rawValue), .integer(Int64(shard.header.rowsPerChunk)),
    ]
    return said.isEmpty || said == [expected]
  }

  /// Whether the tables of improvements hold a run's, and no others of it.
  private func saysImprovements(
    _ run: StoredRun, _ iterations: [Int32], _ metrics: [[Float]]
  ) throws(CorpusError) -> Bool {
    guard try hasImprovements() else { return true }
    for (metric, values) in zip(directory.manifest.metrics, metrics) {
      let said = try rows(
        "SELECT step, iteration, \"\(metric.name)\" FROM improvements_\(metric.name) WHERE run = \(run.seed) ORDER BY step"
      )
      let expected = metric.improvements(among: values).map { step -> [SQLValue] in
        [.integer(Int64(step)), .integer(Int64(iterations[step])), .real(Double(values[step]))]
      }
      if said != expected { return false }
    }
    return true
  }

  private func agrees(with run: StoredRun, in shard: ShardReader) throws(CorpusError) -> Bool {
    if try says(run, in: shard) { return true }
    // A compaction may have moved it between two of the questions.
    let now = try rows(
      "SELECT path, content_hash FROM runs JOIN shards USING (shard) WHERE run = \(run.seed)")
    guard now.count == 1, now[0][1] == .text(run.contentHash.description) else { return false }
    return now[0][0] != .text(String(shard.path.dropFirst(directory.path.count + 1)))
  }

  /// Whether all that the index says of a run is what this shard says; true where the index has it from another one.
  private func says(_ run: StoredRun, in shard: ShardReader) throws(CorpusError) -> Bool {
    let names = directory.manifest.metrics.map(\.column)
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
    guard checkpoints == expected, try saysImprovements(run, iterations, metrics) else { return false }

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
