import Platform
import Maintenance
import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

import MetricIndex

/// What one side can write, and the other must read.
@Suite(.temporaryDirectories) struct LimitTests {
  /// All that reads a corpus by its index.
  private func expectReadable(_ fixture: IndexFixture, _ metric: String, runs: [Int64]) throws {
    #expect(try fixture.synchronize().problems.isEmpty)
    let verification = try CorpusVerification(fixture.corpus, workers: 1).run(cancellation: Cancellation()) {
      _, _ in
    }
    #expect(verification.problems.isEmpty && verification.runs == runs.count)
    let index = try IndexReader(opening: fixture.corpus)
    let condition = "\(Metric.column(of: metric)) BETWEEN 0 AND 1"
    let filter = RunFilter(split: nil, statuses: [.ok], conditions: [condition, "run >= 0"])
    #expect(try index.runTable(filter).runs == runs)
    let train = RunFilter(split: "train", statuses: [.ok], conditions: [])
    let table = try index.runTable(train)
    let values = try index.values(of: metric, runs: runs)
    let parameters = fixture.corpus.manifest.architecture.parameterCount
    let expected = TestCorpus.run(runs[0], parameters: parameters).metrics[0]
    #expect(values[0].map(\.value) == expected)
    let found = try index.checkpoints(train, metric, in: 0...1, limit: 1_000)
    #expect(Set(found.map(\.run)) == Set(table.rows.map(\.run)))
    #expect(
      try index.weights("max(\(Metric.column(of: metric)))", of: table, train).count == table.rows.count)
    #expect(try CheckpointSelection(index, where: condition).selectedRuns.map(\.run) == runs)
    _ = try MetricIndex.rebuild(fixture.corpus)
    #expect(try IndexReader(opening: fixture.corpus).runTable(filter).runs == runs)
  }

  private func manifest(_ change: (inout Manifest) -> Void) -> Manifest {
    var manifest = TestCorpus.manifest()
    change(&manifest)
    return manifest
  }

  @Test(arguments: ["order", "group", "select", "index", "values", "limit", "rowid", "sum_of", "checkpoint"])
  func `metrics may be called by words of SQL`(name: String) throws {
    let fixture = try IndexFixture(
      manifest { $0.metrics = [Metric(name, goal: .minimize), Metric("where", goal: .maximize)] })
    try fixture.store(0..<5)
    try expectReadable(fixture, name, runs: Array(0..<5))
  }

  @Test(arguments: ["split", "status", "checkpoints", "sum", "seed", "parameters"])
  func `metrics are not called like other columns, and those that are stay readable`(name: String) throws {
    let ambiguous = manifest { $0.metrics = [Metric(name, goal: .minimize), .trainReturn] }
    let folder = TemporaryDirectory()
    let path = folder.path + "/corpus"
    #expect {
      _ = try CorpusDirectory(openingOrCreating: path, manifest: ambiguous)
    } throws: {
      ($0 as? CorpusError)?.code == .invalidArgument && "\($0)".contains(name)
    }
    #expect(!Files.exists(path))
    // One of an earlier release.
    let fixture = try IndexFixture()
    try Files.write(
      CanonicalJSON.data(ambiguous, pretty: true), to: fixture.corpus.path + "/corpus.json")
    let earlier = try IndexFixture(opening: fixture, CorpusDirectory(opening: fixture.corpus.path))
    try earlier.store(0..<5)
    try expectReadable(earlier, name, runs: Array(0..<5))
  }

  @Test func `long architectures and recipes are read as they were written`() throws {
    let tensors = (0..<2_000).map {
      Architecture.Tensor("model.decoder.layers.\($0).self_attention.projection.weight", [1])
    }
    let fixture = try IndexFixture(
      manifest {
        $0.architecture = Architecture(name: "long", tensors: tensors)
        $0.recipe = .object(["text": .string(String(repeating: "x", count: 1_000_000))])
      })
    try fixture.store(0..<3)
    let text = try fixture.corpus.manifest.architecture.text()
    #expect(text.utf8.count > 128 << 10)
    let shard = try ShardReader(opening: fixture.corpus.absolute("runs/000/000001.h5"))
    #expect(shard.header.architecture == fixture.corpus.manifest.architecture)
    #expect(shard.header.recipe == fixture.corpus.manifest.recipe)
    try expectReadable(fixture, "test_loss", runs: [0, 1, 2])
  }

  @Test func `what is too long for a corpus is refused before there is one`() throws {
    let folder = TemporaryDirectory()
    let many = (0..<2_001).map { Metric("metric_\($0)", goal: .minimize) }
    for wrong in [
      manifest { $0.recipe = .object(["x": .string(String(repeating: "x", count: 17 << 20))]) },
      manifest { $0.metrics = many }, manifest { $0.task = "my\u{0}task" },
    ] {
      let path = folder.path + "/corpus"
      #expect {
        _ = try CorpusDirectory(openingOrCreating: path, manifest: wrong)
      } throws: {
        ($0 as? CorpusError)?.code == .invalidArgument
      }
      #expect(!Files.exists(path))
    }
  }
}
