import ShardStore
import Platform
import Corpus
import Foundation
import TestSupport
import Testing

import MetricIndex

/// What the index knows and the disk lacks.
@Suite(.temporaryDirectories) struct MissingRunTests {
  private func runs(_ fixture: IndexFixture, in table: String = "runs") throws -> [Int64] {
    try fixture.numbers("SELECT DISTINCT run FROM \(table) ORDER BY run")
  }

  @Test func `a directory that is not mounted costs nothing`() throws {
    let fixture = try IndexFixture()
    try fixture.store(0..<10)
    try fixture.synchronize()
    let before = try fixture.contents()
    let away = fixture.corpus.path + "/elsewhere"
    try FileManager.default.moveItem(atPath: fixture.corpus.runsPath, toPath: away)
    try Files.createDirectory(fixture.corpus.runsPath)
    let report = try fixture.synchronize()
    #expect(report.forgotten == 0 && report.missing.count == 10)
    #expect(fixture.code { _ = try MetricIndex.rebuild(fixture.corpus) } == .indexStale)
    #expect(try fixture.contents() == before)
    try FileManager.default.removeItem(atPath: fixture.corpus.runsPath)
    try FileManager.default.moveItem(atPath: away, toPath: fixture.corpus.runsPath)
    #expect(try fixture.synchronize().problems.isEmpty)
    _ = try IndexReader(opening: fixture.corpus)
    #expect(try fixture.contents() == before)
    #expect(try MetricIndex.rebuild(fixture.corpus).ingested == 10)
  }

  @Test func `an index is made anew without missing runs where somebody says so`() throws {
    let fixture = try IndexFixture()
    try fixture.store([1, 2])
    try fixture.synchronize()
    try Files.remove(fixture.corpus.absolute("runs/000/000002.h5"))
    #expect(fixture.code { _ = try MetricIndex.rebuild(fixture.corpus) } == .indexStale)
    #expect(try runs(fixture) == [1, 2])
    _ = try MetricIndex.rebuild(fixture.corpus, forgetsMissing: true)
    #expect(try runs(fixture) == [1])
    // One that cannot be read knows nothing.
    try Files.write(Data(repeating: 7, count: 9_000), to: fixture.corpus.indexPath)
    #expect(try MetricIndex.rebuild(fixture.corpus).ingested == 1)
  }
}
