import TestSupport
import Corpus
import Testing

import MetricIndex

@Suite(.temporaryDirectories) struct ConditionTests {
  /// What would reach beyond its parentheses, or is no expression.
  static let refused = [
    "1) OR (1", "run > 0) OR (1 -- ", "1) UNION SELECT run FROM runs WHERE (1", "1 OR (1", "1)", "(1",
    "1 ORDER BY run", "1 GROUP BY run", "1 LIMIT 3", "1 UNION SELECT 1", "1 AND /* open", "1 AND 'open",
    "1; DELETE FROM runs", "1); DELETE FROM runs; --", "run = ?", "run = ?1", "run = :run", "", "-- nothing",
    "1\u{0}", "split = \"train\"", "colour = 1", "SELECT 1",
  ]

  private func refusal(_ body: () throws -> Void) -> String? {
    do {
      try body()
    } catch let error as CorpusError where error.code == .invalidSQL {
      return error.description
    } catch {
      Issue.record("\(error)")
    }
    return nil
  }

  @Test(arguments: refused)
  func `a condition is one expression, or refused, wherever it enters`(_ condition: String) throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    try fixture.synchronize()
    let index = try IndexReader(opening: fixture.corpus)
    let filter = RunFilter(split: "train", statuses: [.ok], conditions: [condition])
    #expect(refusal { _ = try index.runTable(filter) } != nil)
    #expect(refusal { _ = try index.checkpoints(filter, "test_loss", in: 0...1, limit: 1) } != nil)
    #expect(refusal { _ = try CheckpointSelection(index, where: condition) } != nil)
    #expect(refusal { _ = try CheckpointSelection.runs(index, where: condition, runs: 0..<1) } != nil)
    let all = RunFilter(split: "train", statuses: [.ok], conditions: [])
    let table = try index.runTable(all)
    #expect(refusal { _ = try index.weights(condition, of: table, all) } != nil)
    // A second one does not complete the first.
    let both = RunFilter(split: "train", statuses: [.ok], conditions: ["(run = 1", "1) OR 1"])
    #expect(refusal { _ = try index.runTable(both) } != nil)
  }

  @Test func `what only looks like the end of an expression is part of it`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    try fixture.synchronize()
    let index = try IndexReader(opening: fixture.corpus)
    for (condition, expected) in [
      ("run IN (2, 5) -- ) OR (1", [2, 5]), ("/* ) */ run = 3", [3]),
      ("status <> '1) OR (1' AND run < 1", [0]),
      ("[run] = 4 OR `run` = 5 OR \"run\" = 6", [4, 5, 6]), ("1 OR 1", Array(0..<8)),
      ("run IN (SELECT run FROM checkpoints WHERE step = 22 AND run % 4 = 1)", [1, 5]),
      ("step = 22 AND run % 4 = 1", [1, 5]), ("\"step\" = 22 AND run = 1 OR run = 9", [1]),
    ] as [(String, [Int64])] {
      let filter = RunFilter(split: "train", statuses: [.ok], conditions: [condition])
      #expect(try index.runTable(filter).runs == expected, "\(condition)")
      let found = try index.checkpoints(filter, "test_loss", in: -1...2, limit: 1_000).map(\.run)
      #expect(Set(found) == Set(expected), "\(condition)")
    }
  }

  @Test func `quotes mean the same to all who ask`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1])
    try fixture.synchronize()
    let index = try IndexReader(opening: fixture.corpus)
    let query = "SELECT count(*) FROM runs WHERE split = \"train\""
    #expect(refusal { _ = try index.rows(query) } != nil)
    #expect(refusal { _ = try RowCursor(query, of: index) } != nil)
  }
}
