import Platform
import Maintenance
import Corpus
import Foundation
import MetricIndex
import ShardStore
import Synchronization
import TestSupport
import Testing

/// A corpus of made-up runs with an index.
struct IndexFixture {
  let temporary: TemporaryDirectory
  let corpus: CorpusDirectory

  init(_ manifest: Manifest = TestCorpus.manifest()) throws {
    temporary = TemporaryDirectory()
    corpus = try CorpusDirectory(openingOrCreating: temporary.path + "/corpus", manifest: manifest)
  }

  /// The corpus of another fixture, opened anew.
  init(opening other: IndexFixture, _ corpus: CorpusDirectory) {
    (temporary, self.corpus) = (other.temporary, corpus)
  }

  func store(_ run: Run, as file: String? = nil) throws {
    let header = ShardHeader(manifest: corpus.manifest, codec: .delta, checkpoints: run.count)
    var encoder = try RunEncoder(header: header)
    let encoded = try encoder.encode(run)
    var writer = try ShardWriter(
      path: corpus.absolute(file ?? corpus.runFile(seed: run.seed)), header: header, counts: [run.count],
      bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
  }

  func store(_ seeds: some Sequence<Int64>) throws {
    let parameters = corpus.manifest.architecture.parameterCount
    for seed in seeds { try store(TestCorpus.run(seed, parameters: parameters)) }
  }

  @discardableResult
  func synchronize() throws -> MetricIndex.Report {
    try MetricIndex(openingOrCreating: corpus).synchronize()
  }

  func rows(_ sql: String) throws -> [[SQLValue]] {
    try IndexReader(opening: corpus, allowStale: true).rows(sql)
  }

  func numbers(_ sql: String) throws -> [Int64] {
    try rows(sql).map { row in
      guard case .integer(let value) = row[0] else { return -1 }
      return value
    }
  }

  func code(_ body: () throws -> Void) -> CorpusError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? CorpusError)?.code
    }
  }

  /// Everything in the index but the numbers of shards, which depend on the order of ingestion.
  func contents() throws -> [[SQLValue]] {
    try rows(
      "SELECT run, path, split, status, checkpoints, first_row, sum, sum_of_squares, content_hash "
        + "FROM runs JOIN shards USING (shard) ORDER BY run")
      + rows("SELECT * FROM checkpoints ORDER BY run, step")
      + rows("SELECT * FROM chunks ORDER BY run, first_step")
      + rows("SELECT * FROM improvements_test_loss ORDER BY run, step")
      + rows("SELECT * FROM improvements_train_return ORDER BY run, step")
      + rows("SELECT path, bytes, runs, codec, rows_per_chunk FROM shards ORDER BY path")
  }
}

@Suite(.temporaryDirectories) struct MetricIndexTests {
  @Test func `holds what the shards hold`() throws {
    let fixture = try IndexFixture()
    try fixture.store([3, 1])
    #expect(try fixture.synchronize().ingested == 2)
    #expect(try fixture.numbers("SELECT run FROM runs ORDER BY run") == [1, 3])
    let run = TestCorpus.run(3)
    let rows = try fixture.rows(
      "SELECT step, iteration, test_loss, train_return FROM checkpoints WHERE run = 3 ORDER BY step")
    for (step, row) in rows.enumerated() {
      #expect(row[0] == .integer(Int64(step)) && row[1] == .integer(Int64(run.iterations[step])))
      #expect(row[2] == .real(Double(run.metrics[0][step])))
      // What is not a number is NULL.
      #expect(row[3] == (step == 0 ? .null : .real(Double(run.metrics[1][step]))))
    }
    #expect(rows.count == 23)
    let shard = try ShardReader(opening: fixture.corpus.absolute("runs/000/000003.h5"))
    #expect(
      try fixture.rows("SELECT offset, bytes FROM chunks WHERE run = 3 ORDER BY first_step")
        == shard.runs[0].chunks.map { [.integer($0.offset), .integer(Int64($0.bytes))] })
    #expect(
      try fixture.rows("SELECT content_hash FROM runs WHERE run = 3")
        == [[.text(try ContentHash(of: run).description)]])
    #expect(try fixture.rows("SELECT value FROM corpus WHERE name = 'task'") == [[.text("made-up")]])
  }

  @Test func `takes up each shard once`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    #expect(try fixture.synchronize().ingested == 1)
    #expect(try fixture.synchronize().ingested == 0)
    try fixture.store([2])
    #expect(try fixture.synchronize().ingested == 1)
    #expect(try fixture.numbers("SELECT count(*) FROM checkpoints") == [46])
  }

  @Test func `holds out the last runs, in whatever order they come`() throws {
    let fixture = try IndexFixture()
    func held() throws -> [Int64] {
      try fixture.numbers("SELECT run FROM runs WHERE split = 'test' ORDER BY run")
    }
    // A fifth of the runs, rounded up, at most two.
    for (stored, expected) in [
      ([9], [9]), ([1], [9]), ([4, 5, 6], [9]), ([12], [9, 12]), (Array(20...29), [28, 29]),
    ]
      as [([Int64], [Int64])]
    {
      try fixture.store(stored)
      try fixture.synchronize()
      #expect(try held() == expected)
    }
    #expect(try fixture.numbers("SELECT count(*) FROM runs WHERE split = 'train'") == [14])
  }

  @Test func `follows runs into sealed shards`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<4)
    try fixture.synchronize()
    let before = try fixture.rows("SELECT * FROM checkpoints ORDER BY run, step")
    let index = try MetricIndex(openingOrCreating: fixture.corpus)
    _ = try Compaction(directory: fixture.corpus).run { (file) throws(CorpusError) in try index.ingest([file])
    }
    try fixture.synchronize()
    #expect(try fixture.rows("SELECT * FROM checkpoints ORDER BY run, step") == before)
    #expect(try fixture.rows("SELECT path FROM shards") == [[.text("shards/000000-000003.h5")]])
    let verification = try CorpusVerification(fixture.corpus, workers: 2).run(cancellation: Cancellation()) {
      _, _ in
    }
    #expect(verification.problems.isEmpty && verification.runs == 4)
  }

  @Test func `prefers the sealed one of two equal runs`() throws {
    let fixture = try IndexFixture()
    for order in [
      ["runs/000/000001.h5", "shards/000001-000001.h5"], ["shards/000001-000001.h5", "runs/000/000001.h5"],
    ] {
      for file in order {
        try fixture.store(TestCorpus.run(1), as: file)
        try fixture.synchronize()
      }
      #expect(
        try fixture.rows("SELECT path FROM runs JOIN shards USING (shard)")
          == [[.text("shards/000001-000001.h5")]])
      for file in order { try Files.remove(fixture.corpus.absolute(file)) }
      try fixture.synchronize()
    }
  }

  @Test func `finds the other copy of a run whose shard is lost`() throws {
    for lost in ["shards/000001-000001.h5", "runs/000/000001.h5"] {
      let fixture = try IndexFixture()
      for file in ["runs/000/000001.h5", "shards/000001-000001.h5"] {
        try fixture.store(TestCorpus.run(1), as: file)
        try fixture.synchronize()
      }
      try Files.remove(fixture.corpus.absolute(lost))
      try fixture.synchronize()
      #expect(try fixture.numbers("SELECT run FROM runs") == [1])
      let result = try CorpusVerification(fixture.corpus, workers: 1).run(cancellation: Cancellation()) {
        _, _ in
      }
      #expect(result.problems == [])
    }
  }

  @Test func `refuses a file that is named for another run`() throws {
    let fixture = try IndexFixture()
    try fixture.store(TestCorpus.run(1), as: "runs/000/000002.h5")
    #expect(try fixture.synchronize().problems.count == 1)
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [0])
  }

  @Test func `does not mind a copy of the corpus, with other times`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1, 2])
    try fixture.synchronize()
    let file = fixture.corpus.absolute("runs/000/000001.h5")
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: file)
    _ = try IndexReader(opening: fixture.corpus)
  }

  @Test func `is rebuilt under a writer, which goes on in the new one`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    let writer = try MetricIndex(openingOrCreating: fixture.corpus)
    try writer.ingest(["runs/000/000001.h5"])
    _ = try MetricIndex.rebuild(fixture.corpus)
    try fixture.store([2])
    try writer.ingest(["runs/000/000002.h5"])
    #expect(try fixture.numbers("SELECT run FROM runs ORDER BY run") == [1, 2])
  }

  @Test func `leaves a foreign database alone`() throws {
    let fixture = try IndexFixture()
    try SQLiteTool.run(fixture.corpus.indexPath, "CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
    #expect(fixture.code { _ = try MetricIndex(openingOrCreating: fixture.corpus) } == .indexCorrupt)
  }

  @Test func `refuses two different runs of one name`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    try fixture.store(TestCorpus.run(1, checkpoints: 9), as: "shards/000001-000001.h5")
    let report = try fixture.synchronize()
    #expect(report.problems.map(\.code) == [.conflictingRuns])
    #expect("\(report.problems[0])".contains("runs/000/000001.h5"))
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [1])
  }

  @Test func `takes up a run that was made again`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    try fixture.synchronize()
    try fixture.store(TestCorpus.run(1, checkpoints: 9))
    try fixture.synchronize()
    #expect(try fixture.numbers("SELECT count(*) FROM checkpoints") == [9])
  }

  @Test func `keeps runs whose shards are gone as missing, and forgets them when told to`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    try fixture.synchronize()
    // As if runs/ were not mounted.
    let runs = fixture.corpus.runsPath
    try FileManager.default.moveItem(atPath: runs, toPath: runs + "-elsewhere")
    for _ in 0..<2 {
      let report = try fixture.synchronize()
      #expect(report.forgotten == 0 && report.missing.count == 10 && report.problems.isEmpty)
      let error = report.missingError(fixture.corpus)
      #expect(error?.message.contains("10 shards") == true && error?.remedy.contains("--forget") == true)
    }
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [10])
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == .indexStale)
    try FileManager.default.moveItem(atPath: runs + "-elsewhere", toPath: runs)
    let back = try fixture.synchronize()
    #expect(back.missingError(fixture.corpus) == nil && back.ingested == 0)
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == nil)

    try Files.remove(fixture.corpus.absolute("runs/000/000003.h5"))
    #expect(try fixture.synchronize().missing == ["runs/000/000003.h5"])
    let index = try MetricIndex(openingOrCreating: fixture.corpus)
    #expect(try index.synchronize(forgetsMissing: true).forgotten == 1)
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [9])
    #expect(try fixture.synchronize().missing == [])
  }

  @Test func `forgets shards that are gone when told to, and reports damaged ones`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1, 2, 3])
    try fixture.synchronize()
    try Files.remove(fixture.corpus.absolute("runs/000/000002.h5"))
    try Files.write(Data("x".utf8), to: fixture.corpus.absolute("runs/000/000004.h5"))
    let report = try MetricIndex(openingOrCreating: fixture.corpus).synchronize(forgetsMissing: true)
    #expect(report.forgotten == 1 && report.problems.count == 1)
    #expect("\(report.problems[0])".contains("runs/000/000004.h5"))
    #expect(try fixture.numbers("SELECT run FROM runs ORDER BY run") == [1, 3])
    #expect(try fixture.numbers("SELECT DISTINCT run FROM checkpoints ORDER BY run") == [1, 3])
    #expect(try fixture.numbers("SELECT DISTINCT run FROM chunks ORDER BY run") == [1, 3])
  }

  @Test func `is rebuilt to the same contents`() throws {
    let fixture = try IndexFixture()
    try fixture.store([5, 1, 9])
    try fixture.synchronize()
    try fixture.store([2])
    try fixture.synchronize()
    let before = try fixture.contents()
    #expect(try MetricIndex.rebuild(fixture.corpus).ingested == 4)
    #expect(try fixture.contents() == before)
    #expect(
      try fixture.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'checkpoints_%' ORDER BY 1")
        == [[.text("checkpoints_test_loss")], [.text("checkpoints_train_return")]])
  }

  @Test func `is written by many at once`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<24)
    let corpus = fixture.corpus
    try parallelForEach(
      corpus.shardFiles(), workers: 4,
      // A connection each, as separate processes have.
      state: { () throws(CorpusError) in try MetricIndex(openingOrCreating: corpus) }
    ) { (file, index) throws(CorpusError) in try index.ingest([file]) }
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [24])
    #expect(try fixture.synchronize().ingested == 0)
  }
}

@Suite(.temporaryDirectories) struct IndexReaderTests {
  @Test func `needs an index that is there, whole and new enough`() throws {
    let fixture = try IndexFixture()
    func opening() -> CorpusError.Code? { fixture.code { _ = try IndexReader(opening: fixture.corpus) } }
    #expect(opening() == .indexMissing)
    try fixture.store([1])
    try fixture.synchronize()
    #expect(opening() == nil)
    try fixture.store([2])
    #expect(opening() == .indexStale)
    _ = try IndexReader(opening: fixture.corpus, allowStale: true)
    try fixture.synchronize()
    #expect(opening() == nil)
    try Files.remove(fixture.corpus.absolute("runs/000/000002.h5"))
    #expect(opening() == .indexStale)
    try Files.write(Data("no database at all, but some text".utf8), to: fixture.corpus.indexPath)
    #expect(opening() == .indexCorrupt)
    #expect(fixture.code { _ = try MetricIndex(openingOrCreating: fixture.corpus) } == .indexCorrupt)
    _ = try MetricIndex.rebuild(fixture.corpus)
    #expect(opening() == nil)
  }

  @Test func `does not call stale what a living process is about to index`() throws {
    let fixture = try IndexFixture()
    try fixture.synchronize()
    let locks = try RunLocks(fixture.corpus)
    #expect(try locks.lock(7))
    try fixture.store([7])
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == nil)
    locks.unlock(7)
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == .indexStale)
  }

  /// As a kill in the midst of a transaction leaves it: with a journal that only a writer may roll back.
  @Test func `heals an index whose writer was killed`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<30)
    try fixture.synchronize()
    let script = """
      import sqlite3, os, sys
      index = sqlite3.connect(sys.argv[1], isolation_level=None)
      index.execute("PRAGMA cache_size = 2")
      index.execute("BEGIN IMMEDIATE")
      index.execute("UPDATE checkpoints SET test_loss = random()")
      os.kill(os.getpid(), 9)
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script, fixture.corpus.indexPath]
    try process.run()
    process.waitUntilExit()
    #expect(Files.exists(fixture.corpus.indexPath + "-journal"))
    let rows = try IndexReader(opening: fixture.corpus).rows(
      "SELECT test_loss FROM checkpoints WHERE run = 3 AND step = 0")
    #expect(rows == [[.real(Double(TestCorpus.run(3).metrics[0][0]))]])
  }

  @Test func `refuses the index of another corpus`() throws {
    let a = try IndexFixture()
    try a.synchronize()
    let other = try CorpusDirectory(
      openingOrCreating: a.temporary.path + "/other", manifest: TestCorpus.manifest(learningRate: 7))
    try FileManager.default.copyItem(atPath: a.corpus.indexPath, toPath: other.indexPath)
    #expect(a.code { _ = try IndexReader(opening: other) } == .indexCorrupt)
  }

  @Test(arguments: [
    "SELEC 1", "SELECT nonsense FROM runs", "DELETE FROM runs", "DROP TABLE runs", "CREATE TABLE t (x)",
    "INSERT INTO corpus VALUES ('a', 'b')", "SELECT 1; SELECT 2", "", "PRAGMA user_version = 3",
  ])
  func `refuses SQL that fails or writes`(sql: String) throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    try fixture.synchronize()
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus).rows(sql) } == .invalidSQL)
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [1])
  }

  @Test func `can be interrupted`() throws {
    let fixture = try IndexFixture()
    try fixture.synchronize()
    let reader = try IndexReader(opening: fixture.corpus)
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    let interrupter = Thread {
      Thread.sleep(forTimeInterval: 0.2)
      reader.interrupt()
    }
    interrupter.start()
    #expect(fixture.code { _ = try reader.rows(endless) } == .interrupted)
    #expect(try reader.rows("SELECT 1") == [[.integer(1)]])
  }

  @Test func `finds an index that disagrees with the shards`() throws {
    let statements = [
      "UPDATE checkpoints SET test_loss = test_loss + 1e-6 WHERE run = 1 AND step = 4",
      "UPDATE checkpoints SET iteration = 5 WHERE run = 1 AND step = 4",
      "DELETE FROM checkpoints WHERE run = 1 AND step = 4",
      "UPDATE chunks SET offset = offset + 1 WHERE run = 1",
      "UPDATE runs SET status = 'nonfinite' WHERE run = 1",
      "UPDATE runs SET content_hash = 'x' WHERE run = 1",
      "UPDATE runs SET split = 'test'",
      "UPDATE shards SET runs = 55, codec = 'zstd' WHERE shard = 1",
      "INSERT INTO runs SELECT 99, shard, split, status, checkpoints, first_row, sum, sum_of_squares, content_hash FROM runs WHERE run = 1",
      "INSERT INTO checkpoints (run, step, iteration) VALUES (77, 0, 0)",
      "DROP TABLE chunks", "INSERT INTO chunks VALUES (77, 0, 100, 100)",
      "DELETE FROM improvements_test_loss WHERE run = 1 AND step = 0",
      "INSERT INTO improvements_train_return VALUES (77, 0, 0, 1)", "DROP VIEW best_test_loss",
      "DROP INDEX checkpoints_test_loss",
    ]
    for statement in statements {
      let fixture = try IndexFixture()
      try fixture.store([1, 2])
      try fixture.synchronize()
      try SQLiteTool.run(fixture.corpus.indexPath, statement)
      let result = try CorpusVerification(fixture.corpus, workers: 1).run(cancellation: Cancellation()) {
        _, _ in
      }
      #expect(Set(result.problems.map(\.code)) == [.indexCorrupt], "\(statement)")
    }
  }
}

/// The real `sqlite3` command, as users have it.
enum SQLiteTool {
  static func run(_ path: String, _ sql: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["sqlite3", path, sql]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
}

@Suite(.temporaryDirectories) struct SchemaTests {
  @Test func `is the text in Schemas`() throws {
    let fixture = try IndexFixture()
    try fixture.synchronize()
    let schemas = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Schemas/index.sql")
    let text = try String(contentsOf: schemas, encoding: .utf8)
    for table in ["corpus", "shards", "runs", "checkpoints", "chunks", "improvements_train_return"] {
      #expect(text.contains("CREATE TABLE \(table) ("))
      #expect(try fixture.numbers("SELECT count(*) FROM sqlite_schema WHERE name = '\(table)'") == [1])
    }
  }
}
