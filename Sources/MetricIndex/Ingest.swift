import Platform
import Corpus
import GRDB
import GRDBSQLite
import ShardStore

/// One transaction that takes up or forgets shards.
struct Ingest {
  private let database: Database
  private let directory: CorpusDirectory
  /// Whether new rows go into indexes on metrics, too, where there are some.
  private let keepsMetricIndexes: Bool
  private let addRun: Statement
  private let addCheckpoint: Statement
  private let addChunk: Statement
  private let addShard: Statement
  private let findRun: Statement
  private let findRuns: Statement

  init(_ database: Database, directory: CorpusDirectory, keepsMetricIndexes: Bool = false) throws {
    self.database = database
    self.directory = directory
    self.keepsMetricIndexes = keepsMetricIndexes
    let columns = directory.manifest.metrics.map { "\"\($0.name)\"" }
    addRun = try database.cachedStatement(
      sql: """
        INSERT INTO runs (run, seed, shard, split, status, checkpoints, first_row, sum, sum_of_squares, content_hash)
        VALUES (?, ?, ?, 'train', ?, ?, ?, ?, ?, ?)
        """)
    addCheckpoint = try database.cachedStatement(
      sql: """
        INSERT INTO checkpoints (\((["run", "step", "iteration"] + columns).joined(separator: ", ")))
        VALUES (?, ?, ?\(String(repeating: ", ?", count: columns.count)))
        """)
    addChunk = try database.cachedStatement(sql: "INSERT INTO chunks VALUES (?, ?, ?, ?)")
    addShard = try database.cachedStatement(
      sql: """
        INSERT INTO shards (path, bytes, runs, codec, rows_per_chunk) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes, runs = excluded.runs, codec = excluded.codec, rows_per_chunk = excluded.rows_per_chunk
        RETURNING shard
        """)
    findRun = try database.cachedStatement(
      sql: "SELECT content_hash, shard, path FROM runs JOIN shards USING (shard) WHERE run = ?")
    findRuns = try database.cachedStatement(sql: "SELECT run FROM runs WHERE shard = ?")
  }

  /// Takes up a shard, or takes it up again if it has changed.
  func add(_ file: String, _ reader: ShardReader) throws {
    let shard = try shardNumber(file, reader)
    for run in reader.runs {
      if let known = try Row.fetchOne(findRun, arguments: [run.seed]) {
        try replace(run, knownAs: known, by: shard, file, reader)
      } else {
        try addNew(run, shard, reader)
      }
    }
    // Runs that the shard held when it was last taken up, and holds no more.
    try forgetRuns(of: shard, except: Set(reader.runs.map(\.seed)))
  }

  private func shardNumber(_ file: String, _ reader: ShardReader) throws -> Int64 {
    try Int64.fetchOne(
      addShard,
      arguments: [
        file, try Files.size(reader.path), reader.runs.count, reader.header.codec.rawValue,
        reader.header.rowsPerChunk,
      ]) ?? 0
  }

  private func addNew(_ run: StoredRun, _ shard: Int64, _ reader: ShardReader) throws {
    if !keepsMetricIndexes { try IndexSchema.dropMetricIndexes(in: database, manifest: directory.manifest) }
    try addRun.execute(arguments: [
      run.seed, run.seed, shard, run.status.rawValue, run.count, run.firstRow, run.sum, run.sumOfSquares,
      run.contentHash.description,
    ])
    try addCheckpoints(of: run, reader)
    try addChunks(of: run, reader)
  }

  /// Bound by hand: with a million rows, wrapping each number for GRDB takes longer than storing it.
  private func addCheckpoints(of run: StoredRun, _ reader: ShardReader) throws {
    let statement = addCheckpoint.sqliteStatement
    let iterations = reader.iterations(of: run)
    let metrics = reader.metrics(of: run)
    for step in 0..<run.count {
      sqlite3_bind_int64(statement, 1, run.seed)
      sqlite3_bind_int64(statement, 2, Int64(step))
      sqlite3_bind_int64(statement, 3, Int64(iterations[step]))
      for (column, metric) in metrics.enumerated() {
        // SQLite stores NULL for what is not a number.
        sqlite3_bind_double(statement, Int32(4 + column), Double(metric[step]))
      }
      let code = sqlite3_step(statement)
      sqlite3_reset(statement)
      guard code == SQLITE_DONE else {
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: database.lastErrorMessage)
      }
    }
  }

  private func addChunks(of run: StoredRun, _ reader: ShardReader) throws {
    for (number, chunk) in run.chunks.enumerated() {
      try addChunk.execute(arguments: [
        run.seed, number * reader.header.rowsPerChunk, chunk.offset, chunk.bytes,
      ])
    }
  }

  /// A run that is already known, found again: the same one in another place, or another one of that name.
  private func replace(
    _ run: StoredRun, knownAs known: Row, by shard: Int64, _ file: String, _ reader: ShardReader
  ) throws {
    let (knownHash, knownShard): (String, Int64) = (try known.value(0), try known.value(1))
    let knownFile: String = try known.value(2)
    let isElsewhere = knownShard != shard && Files.exists(directory.absolute(knownFile))
    guard knownHash == run.contentHash.description || !isElsewhere else {
      throw CorpusError(
        .conflictingRuns,
        "\(reader.path) and \(directory.absolute(knownFile)) hold different runs \(run.seed)",
        remedy: "keep the one that you trust and move the other out of the corpus")
    }
    // Of two equal copies the sealed one counts; compaction removes the other.
    if isElsewhere && file.hasPrefix("runs/") { return }
    if knownHash != run.contentHash.description {
      try forget(run: run.seed)
      try addNew(run, shard, reader)
      return
    }
    try database.execute(
      sql: "UPDATE runs SET shard = ?, first_row = ? WHERE run = ?",
      arguments: [shard, run.firstRow, run.seed])
    try database.execute(sql: "DELETE FROM chunks WHERE run = ?", arguments: [run.seed])
    try addChunks(of: run, reader)
  }

  /// Shards with runs that were taken up from equal copies elsewhere.
  func shadowed() throws -> [String] {
    try String.fetchAll(
      database,
      sql: """
        SELECT path FROM shards
        WHERE runs <> (SELECT count(*) FROM runs WHERE runs.shard = shards.shard) ORDER BY path
        """)
  }

  /// Whether runs are known that lie in a shard.
  func holdsRuns(_ file: String) throws -> Bool {
    try Bool.fetchOne(
      database,
      sql: "SELECT EXISTS (SELECT 1 FROM runs JOIN shards USING (shard) WHERE path = ?)", arguments: [file])
      ?? false
  }

  /// Forgets a shard that is no longer there, and its runs; copies of them elsewhere are ``shadowed()`` no more.
  func forget(_ file: String) throws {
    guard
      let shard = try Int64.fetchOne(
        database, sql: "SELECT shard FROM shards WHERE path = ?", arguments: [file])
    else { return }
    try forgetRuns(of: shard, except: [])
    try database.execute(sql: "DELETE FROM shards WHERE shard = ?", arguments: [shard])
  }

  private func forgetRuns(of shard: Int64, except kept: Set<Int64>) throws {
    let runs = try Int64.fetchAll(findRuns, arguments: [shard])
    for run in runs where !kept.contains(run) { try forget(run: run) }
  }

  private func forget(run: Int64) throws {
    for table in ["chunks", "checkpoints", "runs"] {
      try database.execute(sql: "DELETE FROM \(table) WHERE run = ?", arguments: [run])
    }
  }

  /// Holds out the last runs, as corpus.json says; only runs that change sides are touched.
  func finish() throws {
    let runs = try Int.fetchOne(database, sql: "SELECT count(*) FROM runs") ?? 0
    let held = directory.manifest.split.testCount(runs: runs)
    let boundary =
      held == 0
      ? Int64.max
      : try Int64.fetchOne(
        database, sql: "SELECT run FROM runs ORDER BY run DESC LIMIT 1 OFFSET ?", arguments: [held - 1])
        ?? Int64.max
    try database.execute(
      sql: """
        UPDATE runs SET split = 'test' WHERE split = 'train' AND run >= ?;
        UPDATE runs SET split = 'train' WHERE split = 'test' AND run < ?;
        """, arguments: [boundary, boundary])
  }
}
