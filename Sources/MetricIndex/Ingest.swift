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
  /// Adds a block of checkpoints at once: a call of SQLite for each row costs more than a row in a longer statement.
  private let addCheckpoints: Statement
  private let rowsPerBlock: Int
  /// For each metric.
  private let addImprovement: [Statement]
  private let addChunk: Statement
  private let addShard: Statement
  private let findRun: Statement
  private let findRuns: Statement

  /// What a statement may bind in one go: few enough that compiling it takes no time.
  private static let valuesPerBlock = 400

  init(_ database: Database, directory: CorpusDirectory, keepsMetricIndexes: Bool = false) throws {
    self.database = database
    self.directory = directory
    self.keepsMetricIndexes = keepsMetricIndexes
    let columns = directory.manifest.metrics.map { "\"\($0.name)\"" }
    addRun = try database.cachedStatement(
      sql: """
        INSERT INTO runs (run, shard, split, status, checkpoints, first_row, sum, sum_of_squares, content_hash)
        VALUES (?, ?, 'train', ?, ?, ?, ?, ?, ?)
        """)
    let names = ["run", "step", "iteration"] + columns
    let row = "(\(names.map { _ in "?" }.joined(separator: ", ")))"
    let rows = max(1, min(50, Self.valuesPerBlock / names.count))
    let add = "INSERT INTO checkpoints (\(names.joined(separator: ", "))) VALUES"
    addCheckpoint = try database.cachedStatement(sql: "\(add) \(row)")
    addCheckpoints = try database.cachedStatement(
      sql: "\(add) \(repeatElement(row, count: rows).joined(separator: ", "))")
    rowsPerBlock = rows
    addImprovement = try directory.manifest.metrics.map {
      try database.cachedStatement(sql: "INSERT INTO \(IndexSchema.improvements($0)) VALUES (?, ?, ?, ?)")
    }
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
      run.seed, shard, run.status.rawValue, run.count, run.firstRow, run.sum, run.sumOfSquares,
      run.contentHash.description,
    ])
    let iterations = reader.iterations(of: run)
    let metrics = reader.metrics(of: run)
    try addCheckpoints(of: run, iterations, metrics)
    try addImprovements(of: run, iterations, metrics)
    try addChunks(of: run, reader)
  }

  /// Bound by hand: with a million rows, wrapping each number for GRDB takes longer than storing it.
  private func addCheckpoints(of run: StoredRun, _ iterations: [Int32], _ metrics: [[Float]]) throws {
    var step = 0
    while step < run.count {
      let isBlock = run.count - step >= rowsPerBlock
      let statement = (isBlock ? addCheckpoints : addCheckpoint).sqliteStatement
      var parameter: Int32 = 1
      for _ in 0..<(isBlock ? rowsPerBlock : 1) {
        sqlite3_bind_int64(statement, parameter, run.seed)
        sqlite3_bind_int64(statement, parameter + 1, Int64(step))
        sqlite3_bind_int64(statement, parameter + 2, Int64(iterations[step]))
        parameter += 3
        for metric in metrics {
          // SQLite stores NULL for what is not a number.
          sqlite3_bind_double(statement, parameter, Double(metric[step]))
          parameter += 1
        }
        step += 1
      }
      try self.step(statement)
    }
  }

  private func addImprovements(of run: StoredRun, _ iterations: [Int32], _ metrics: [[Float]]) throws {
    for ((metric, values), add) in zip(zip(directory.manifest.metrics, metrics), addImprovement) {
      let statement = add.sqliteStatement
      for step in metric.improvements(among: values) {
        sqlite3_bind_int64(statement, 1, run.seed)
        sqlite3_bind_int64(statement, 2, Int64(step))
        sqlite3_bind_int64(statement, 3, Int64(iterations[step]))
        sqlite3_bind_double(statement, 4, Double(values[step]))
        try self.step(statement)
      }
    }
  }

  /// Carries out a statement that gives no rows, and makes it ready for the next values.
  private func step(_ statement: OpaquePointer) throws {
    let code = sqlite3_step(statement)
    sqlite3_reset(statement)
    guard code == SQLITE_DONE else {
      throw DatabaseError(resultCode: ResultCode(rawValue: code), message: database.lastErrorMessage)
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
    try execute("UPDATE runs SET shard = ?, first_row = ? WHERE run = ?", [shard, run.firstRow, run.seed])
    try execute("DELETE FROM chunks WHERE run = ?", [run.seed])
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
    let statement = try database.cachedStatement(
      sql: "SELECT EXISTS (SELECT 1 FROM runs JOIN shards USING (shard) WHERE path = ?)")
    return try Bool.fetchOne(statement, arguments: [file]) ?? false
  }

  /// Forgets a shard that is no longer there, and its runs; copies of them elsewhere are ``shadowed()`` no more.
  func forget(_ file: String) throws {
    let statement = try database.cachedStatement(sql: "SELECT shard FROM shards WHERE path = ?")
    guard let shard = try Int64.fetchOne(statement, arguments: [file]) else { return }
    try forgetRuns(of: shard, except: [])
    try execute("DELETE FROM shards WHERE shard = ?", [shard])
  }

  private func forgetRuns(of shard: Int64, except kept: Set<Int64>) throws {
    let runs = try Int64.fetchAll(findRuns, arguments: [shard])
    for run in runs where !kept.contains(run) { try forget(run: run) }
  }

  private func forget(run: Int64) throws {
    let improvements = directory.manifest.metrics.map(IndexSchema.improvements)
    for table in ["chunks", "checkpoints", "runs"] + improvements {
      try execute("DELETE FROM \(table) WHERE run = ?", [run])
    }
  }

  /// For statements that come again and again: each is compiled once.
  private func execute(_ sql: String, _ arguments: StatementArguments) throws {
    try database.cachedStatement(sql: sql).execute(arguments: arguments)
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
