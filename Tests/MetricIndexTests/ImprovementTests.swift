import Corpus
import Foundation
import Maintenance
import MetricIndex
import Platform
import ShardStore
import TestSupport
import Testing

/// The tables of improvements, and the views of each run's best checkpoint.
@Suite(.temporaryDirectories) struct ImprovementTests {
  private let metrics = ["test_loss", "train_return"]

  /// What the tables must hold, by going through all checkpoints.
  private func expected(_ fixture: IndexFixture, _ metric: Metric) throws -> [[SQLValue]] {
    var expected: [[SQLValue]] = []
    var best: (run: SQLValue, value: Double)?
    for row in try fixture.rows(
      "SELECT run, step, iteration, \(metric.name) FROM checkpoints ORDER BY run, step")
    {
      guard let value = row[3].double else { continue }
      if let best, best.run == row[0], metric.goal == .minimize ? value >= best.value : value <= best.value {
        continue
      }
      best = (row[0], value)
      expected.append(row)
    }
    return expected
  }

  private func expectRight(_ fixture: IndexFixture) throws {
    for metric in fixture.corpus.manifest.metrics {
      let rows = try expected(fixture, metric)
      #expect(rows.count > 20)
      #expect(try fixture.rows("SELECT * FROM improvements_\(metric.name) ORDER BY run, step") == rows)
      let best = metric.goal == .minimize ? "min" : "max"
      #expect(
        try fixture.rows("SELECT run, \(metric.name), step FROM best_\(metric.name) ORDER BY run")
          == fixture.rows(
            "SELECT run, \(best)(\(metric.name)), step FROM checkpoints GROUP BY run ORDER BY run"))
      let better = metric.goal == .minimize ? "< 0.3" : "> 7"
      #expect(
        try fixture.rows(
          "SELECT run, min(step), iteration FROM improvements_\(metric.name) WHERE \(metric.name) \(better) GROUP BY run"
        )
          == fixture.rows(
            "SELECT run, min(step), iteration FROM checkpoints WHERE \(metric.name) \(better) GROUP BY run"))
    }
  }

  @Test func `hold what going through all checkpoints finds`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    // More than a block of rows, and some left.
    try fixture.store(TestCorpus.run(10, checkpoints: 133))
    try fixture.synchronize()
    try expectRight(fixture)
    try Files.remove(fixture.corpus.absolute(fixture.corpus.runFile(seed: 3)))
    _ = try MetricIndex(openingOrCreating: fixture.corpus).synchronize(forgetsMissing: true)
    #expect(try fixture.numbers("SELECT count(*) FROM improvements_test_loss WHERE run = 3") == [0])
    try expectRight(fixture)
  }

  @Test(arguments: [Metric.Goal.minimize, .maximize])
  func `leave out what is not finite, and what is as good as before`(goal: Metric.Goal) {
    let sign: Float = goal == .minimize ? -1 : 1
    let values: [Float] = [.nan, 1, 1, .infinity, -.infinity, 0, 2, .nan, 2, 3].map { sign * $0 }
    #expect(Metric("m", goal: goal).improvements(among: values) == [1, 6, 9])
  }

  /// An index as earlier programs have made it: without improvements, and with columns that say nothing.
  private func downgrade(_ fixture: IndexFixture) throws {
    let drops = metrics.map { "DROP VIEW best_\($0); DROP TABLE improvements_\($0);" }.joined()
    try SQLiteTool.run(
      fixture.corpus.indexPath,
      drops + "ALTER TABLE checkpoints ADD COLUMN epoch INTEGER; ALTER TABLE runs ADD COLUMN seed INTEGER;"
        + "UPDATE runs SET seed = run; PRAGMA user_version = 1")
  }

  @Test func `are added to an index of version 1 by who writes, and not missed by who reads`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    try fixture.synchronize()
    let made = try fixture.contents()
    try downgrade(fixture)
    #expect(try !IndexReader(opening: fixture.corpus).hasImprovements())
    let filter = RunFilter(split: nil, statuses: [.ok], conditions: ["test_loss < 2"], measured: "test_loss")
    #expect(try IndexReader(opening: fixture.corpus).runTable(filter).runs == Array(0..<10))
    let verified = try CorpusVerification(fixture.corpus, workers: 1).run(cancellation: Cancellation()) {
      _, _ in
    }
    #expect(verified.problems == [])
    try fixture.synchronize()
    #expect(try fixture.contents() == made)
    #expect(try fixture.numbers("PRAGMA user_version") == [2])
    try fixture.store([10])
    try fixture.synchronize()
    try expectRight(fixture)
  }

  /// Steps that an index on a metric gives come in the metric's order.
  @Test func `a condition on a metric selects the same with an index on it as without`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1, 2, 3, 40, 41, 700])
    try fixture.synchronize()
    for condition in [
      "test_loss < 0.4", "train_return > 9 AND step % 2 = 0", "test_loss < 0.4 AND runs.run <> 40",
    ] {
      let filter = RunFilter(split: "train", statuses: [.ok], conditions: [condition])
      let table = try IndexReader(opening: fixture.corpus).runTable(filter)
      let found = zip(table.rows, table.rows.indices).flatMap { row, index in
        (table.steps ?? [])[table.stepStarts[index]..<table.stepStarts[index + 1]].map {
          [SQLValue.integer(row.run), .integer(Int64($0))]
        }
      }
      #expect(
        try found
          == fixture.rows(
            "SELECT run, step FROM checkpoints JOIN runs USING (run) WHERE split = 'train' AND \(condition) "
              + "ORDER BY +run, +step"), "\(condition)")
      #expect(found.count > 5)
    }
  }
}
