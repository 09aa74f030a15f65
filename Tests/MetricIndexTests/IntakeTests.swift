import Platform
import CorpusStore
import Maintenance
import Corpus
import Foundation
import MetricIndex
import ShardStore
import TestSupport
import Testing

/// How runs come into the index: beside readers, and at what cost.
@Suite(.temporaryDirectories) struct IntakeTests {
  private let fixture: IndexFixture

  init() throws {
    fixture = try IndexFixture()
    try fixture.store(0..<16)
    try fixture.synchronize()
  }

  /// A reader in the midst of its rows, which keeps the index from being changed for as long as it lives.
  private func reader() throws -> RowCursor {
    let cursor = try RowCursor("SELECT run, step FROM checkpoints", of: IndexReader(opening: fixture.corpus))
    #expect(try cursor.next())
    return cursor
  }

  private func writer() throws -> CorpusWriter {
    try CorpusWriter(fixture.corpus, index: MetricIndex(openingOrCreating: fixture.corpus))
  }

  private func store(_ seeds: Range<Int64>, checkpoints: Int = 23, with writer: CorpusWriter) throws {
    for seed in seeds {
      try writer.claim(seed)
      try writer.store(claimed: TestCorpus.run(seed, checkpoints: checkpoints))
    }
  }

  private var metricIndexes: [String] {
    get throws {
      try fixture.rows("SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'checkpoints_%'")
        .compactMap { $0[0].text }.sorted()
    }
  }

  private func problems() throws -> [CorpusError] {
    try CorpusVerification(fixture.corpus, workers: 1).run(cancellation: Cancellation()) { _, _ in }.problems
  }

  @Test func `stores runs beside a reader that never ends`() throws {
    let reader = try reader()
    let writer = try writer()
    try store(16..<26, with: writer)
    for seed in 16..<26 as Range<Int64> {
      #expect(Files.exists(fixture.corpus.absolute(fixture.corpus.runFile(seed: seed))))
    }
    #expect(try writer.finish(patience: .zero) == 10)
    var rows = 1
    while try reader.next() { rows += 1 }
    #expect(rows == 16 * 23)
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == .indexStale)
    #expect(try fixture.synchronize().ingested == 10)
    #expect(try problems().map(\.message) == [])
  }

  @Test func `takes up what waited when the reader has ended`() throws {
    let reader = try reader()
    let writer = try writer()
    try store(16..<20, with: writer)
    while try reader.next() {}
    #expect(try writer.finish(patience: .zero) == 0)
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [20])
  }

  @Test func `waiting runs are stored for everybody`() throws {
    let reader = try reader()
    let writer = try writer()
    try store(16..<17, with: writer)
    let other = try self.writer()
    #expect(other.isClaimed(16))
    for writer in [writer, other] {
      #expect(try writer.isStored(16))
      #expect(fixture.code { try writer.claim(16) } == .alreadyExists)
      var encoder = try RunEncoder(
        header: ShardHeader(manifest: fixture.corpus.manifest, codec: .delta, checkpoints: 23))
      let outcome = try writer.store(16, with: &encoder) { () throws(CorpusError) in nil }
      guard case .found = outcome else {
        Issue.record("\(outcome)")
        continue
      }
    }
    // Somebody is about to take it up, until it gives up.
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == nil)
    #expect(try writer.finish(patience: .zero) == 1)
    #expect(fixture.code { _ = try IndexReader(opening: fixture.corpus) } == .indexStale)
    _ = try reader.next()
  }

  @Test func `runs that are sealed while they wait are no problem`() throws {
    let reader = try reader()
    let writer = try writer()
    try store(16..<20, with: writer)
    _ = try Compaction(directory: fixture.corpus).run { _ in }
    while try reader.next() {}
    #expect(try writer.finish(patience: .zero) == 0)
    try fixture.synchronize()
    #expect(try problems().map(\.message) == [])
    #expect(try fixture.numbers("SELECT count(*) FROM runs") == [20])
  }

  @Test func `a synchronization in passing leaves what it cannot have`() throws {
    let reader = try reader()
    try fixture.store(16..<18)
    let index = try MetricIndex(openingOrCreating: fixture.corpus)
    let report = try index.synchronize(patience: .zero)
    #expect(report.postponed == 2 && report.ingested == 0 && report.problems.isEmpty)
    while try reader.next() {}
    #expect(try index.synchronize(patience: .zero).ingested == 2)
  }

  @Test func `the index is made again beside a reader`() throws {
    let reader = try reader()
    try fixture.store(16..<18)
    #expect(try MetricIndex.rebuild(fixture.corpus).ingested == 18)
    var rows = 1
    while try reader.next() { rows += 1 }
    #expect(rows == 16 * 23)
    #expect(try problems().map(\.message) == [])
  }

  /// An intake beside indexes on metrics changes a page of each for every row, so it drops them until much is new.
  @Test func `metrics are indexed when much is new`() throws {
    let both = ["checkpoints_test_loss", "checkpoints_train_return"]
    #expect(try metricIndexes == both)
    let best = "SELECT run, step FROM checkpoints ORDER BY train_return DESC, run LIMIT 3"
    let writer = try writer()
    try store(16..<17, with: writer)
    try writer.finish()
    #expect(try metricIndexes == [])
    #expect(try problems().map(\.message) == [])
    let unindexed = try fixture.rows(best)
    try fixture.synchronize()
    #expect(try metricIndexes == both && fixture.rows(best) == unindexed)

    // The second of these is the eighth part of all.
    try store(17..<18, with: writer)
    try writer.finish()
    #expect(try metricIndexes == [])
    try store(18..<20, with: writer)
    try writer.finish()
    #expect(try metricIndexes == both)
    let contents = try fixture.contents()
    _ = try MetricIndex.rebuild(fixture.corpus)
    #expect(try fixture.contents() == contents && metricIndexes == both)
    #expect(try problems().map(\.message) == [])
  }

  @Test func `an intake changes few pages of a large index`() throws {
    let fixture = try IndexFixture()
    for seed in 0..<50 as Range<Int64> { try fixture.store(TestCorpus.run(seed, checkpoints: 2000)) }
    try fixture.synchronize()
    let before = try Data(contentsOf: URL(fileURLWithPath: fixture.corpus.indexPath))
    let writer = try CorpusWriter(fixture.corpus, index: MetricIndex(openingOrCreating: fixture.corpus))
    try writer.claim(50)
    try writer.store(claimed: TestCorpus.run(50, checkpoints: 200))
    #expect(try writer.finish() == 0)
    let after = try Data(contentsOf: URL(fileURLWithPath: fixture.corpus.indexPath))
    let page = 4096
    let changed = stride(from: 0, to: after.count, by: page).count {
      $0 >= before.count || before[$0..<($0 + page)] != after[$0..<($0 + page)]
    }
    #expect(changed < 40, "\(changed) of \(after.count / page) pages")
  }
}
