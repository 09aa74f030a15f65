import ShardStore
import Platform
import CorpusStore
import Maintenance
import Corpus
import Foundation
import MetricIndex
import Synchronization
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct CorpusReaderTests {
  private let fixture: IndexFixture

  init() throws {
    fixture = try IndexFixture()
    try fixture.store(0..<12)
    try fixture.synchronize()
  }

  private func reader() throws -> CorpusReader { CorpusReader(try IndexReader(opening: fixture.corpus)) }

  private func compact() throws {
    let index = try MetricIndex(openingOrCreating: fixture.corpus)
    _ = try Compaction(directory: fixture.corpus).run { (file) throws(CorpusError) in
      try index.ingest([file])
    }
    try fixture.synchronize()
  }

  private func vectors(_ reader: CorpusReader, _ run: Int64, _ steps: Range<Int>) throws -> [Float] {
    var values = [Float](repeating: 0, count: 7 * steps.count)
    try values.withUnsafeMutableBufferPointer { try reader.read(run, steps: steps, into: $0) }
    return values
  }

  @Test func `reads every range of steps`() throws {
    let reader = try reader()
    let run = TestCorpus.run(3)
    for first in 0...23 {
      for end in first...23 {
        #expect(try vectors(reader, 3, first..<end) == Array(run.parameters[(7 * first)..<(7 * end)]))
      }
    }
  }

  /// A compaction on another thread, again and again, and everything that looks up runs beside it.
  @Test func `nothing fails beside a compaction`() throws {
    let fixture = fixture
    var stored: Int64 = 12
    for round in 0..<12 {
      try fixture.store(stored..<(stored + 8))
      stored += 8
      try fixture.synchronize()
      let isDone = Atomic(false)
      let compaction = Thread {
        let index = try? MetricIndex(openingOrCreating: fixture.corpus)
        _ = try? Compaction(directory: fixture.corpus, workers: 1).run { (file) throws(CorpusError) in
          try index?.ingest([file])
        }
        isDone.store(true, ordering: .releasing)
      }
      compaction.start()
      let index = try MetricIndex(openingOrCreating: fixture.corpus)
      var runs = (0..<stored).makeIterator()
      while !isDone.load(ordering: .acquiring) {
        #expect(try index.synchronize().problems.map(\.message) == [])
        let reader = CorpusReader(try IndexReader(opening: fixture.corpus, allowStale: true))
        for _ in 0..<4 {
          guard let run = runs.next() else { break }
          #expect(try reader.run(run).parameters == TestCorpus.run(run).parameters, "round \(round)")
        }
        let verified = try CorpusVerification(fixture.corpus, workers: 1).run(
          cancellation: Cancellation(), progress: { _, _ in })
        #expect(verified.problems.filter { $0.code != .indexStale }.map(\.message) == [])
        #expect(verified.runs == Int(stored))
      }
      try fixture.synchronize()
    }
  }

  @Test func `reads whole runs from more files than it keeps open`() throws {
    let reader = try reader()
    for _ in 0..<2 {
      for seed in 0..<12 as Range<Int64> {
        let run = try reader.run(seed)
        #expect(run.parameters == TestCorpus.run(seed).parameters && run.seed == seed)
        #expect(try reader.metrics(of: seed).iterations == run.iterations)
      }
    }
    let count = try reader.count()
    #expect(count == (12, 12 * 23))
    #expect(try reader.info(of: 11).split == "test" && reader.info(of: 0).split == "train")
  }

  @Test func `goes on while the corpus is compacted and grows`() throws {
    let reader = try reader()
    #expect(try reader.run(0).seed == 0)
    try compact()
    #expect(try fixture.corpus.shardFiles().allSatisfy { $0.hasPrefix("shards/") })
    for seed in 0..<12 as Range<Int64> {
      #expect(try reader.run(seed).parameters == TestCorpus.run(seed).parameters)
    }
    try fixture.store(TestCorpus.run(50))
    try fixture.synchronize()
    #expect(try reader.run(50).parameters == TestCorpus.run(50).parameters)
  }

  @Test func `refuses what is not there`() throws {
    let reader = try reader()
    #expect(fixture.code { _ = try reader.run(99) } == .unknownRun)
    #expect(fixture.code { _ = try vectors(reader, 1, 20..<24) } == .invalidArgument)
    #expect(fixture.code { _ = try vectors(reader, 1, -1..<2) } == .invalidArgument)
    try FileManager.default.removeItem(atPath: fixture.corpus.absolute("runs/000/000004.h5"))
    #expect(fixture.code { _ = try reader.run(4) } == .damagedShard)
  }

  @Test func `cursors give rows at the caller's pace`() throws {
    let index = try IndexReader(opening: fixture.corpus)
    let sql =
      "SELECT run, train_return, status FROM checkpoints JOIN runs USING (run) WHERE run < ? AND step < ?"
    let cursor = try RowCursor(sql, parameters: [.integer(2), .integer(2)], of: index)
    #expect(cursor.columns == ["run", "train_return", "status"])
    var rows: [String] = []
    while try cursor.next() {
      guard case .integer(let run) = cursor.value(at: 0), case .text(let status) = cursor.value(at: 2) else {
        Issue.record("types")
        return
      }
      let value = if case .real = cursor.value(at: 1) { "real" } else { "null" }
      rows.append("\(run) \(value) \(String(decoding: status, as: UTF8.self))")
    }
    #expect(rows == ["0 null ok", "0 real ok", "1 null ok", "1 real ok"])
    #expect(try !cursor.next())
  }

  @Test(arguments: ["SELECT", "SELECT 1; SELECT 2", "", "-- nothing", "DELETE FROM runs", "SELECT ?"])
  func `cursors refuse`(_ sql: String) throws {
    let index = try IndexReader(opening: fixture.corpus)
    #expect(fixture.code { _ = try RowCursor(sql, of: index) } == .invalidSQL)
  }

  @Test func `cursors at the end keep no writer waiting`() throws {
    let cursor = try RowCursor("SELECT run FROM runs", of: IndexReader(opening: fixture.corpus))
    while try cursor.next() {}
    try fixture.store(TestCorpus.run(60))
    try fixture.synchronize()
    cursor.interrupt()
    #expect(try !cursor.next())
  }

  @Test func `writers claim runs`() throws {
    let index = try MetricIndex(openingOrCreating: fixture.corpus)
    let writer = try CorpusWriter(fixture.corpus, index: index)
    let other = try CorpusWriter(fixture.corpus, index: index)
    #expect(fixture.code { try writer.claim(3) } == .alreadyExists)
    try writer.claim(70)
    #expect(fixture.code { try other.claim(70) } == .claimedElsewhere)
    #expect(other.isClaimed(70))
    writer.release(70)
    try other.claim(70)
    #expect(try !writer.isStored(70))
    try other.store(claimed: TestCorpus.run(70, checkpoints: 5))
    #expect(try writer.isStored(70) && !writer.isClaimed(70))
    #expect(fixture.code { try writer.claim(70) } == .alreadyExists)
    #expect(try reader().run(70).count == 5)
  }
}
