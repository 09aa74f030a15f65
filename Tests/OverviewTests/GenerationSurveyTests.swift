import Corpus
import Foundation
import Maintenance
import Overview
import ShardStore
import TestSupport
import Testing

@Suite("GenerationSurvey", .temporaryDirectories)
struct GenerationSurveyTests {
  private let now = Date(timeIntervalSince1970: 1_800_000_000)

  private func corpus() throws -> CorpusDirectory {
    let directory = try CorpusDirectory(
      openingOrCreating: TemporaryDirectory().path + "/corpus", manifest: TestCorpus.manifest())
    try FileManager.default.createDirectory(
      atPath: "\(directory.path)/claims", withIntermediateDirectories: true)
    return directory
  }

  /// A file of this length that was last changed so long ago.
  private func put(_ file: String, _ contents: Data, age: Double, in corpus: CorpusDirectory) throws {
    let path = corpus.absolute(file)
    try contents.write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes(
      [.modificationDate: now.addingTimeInterval(-age)], ofItemAtPath: path)
  }

  private func claim(
    _ name: String, host: String, begun: Double, renewed: Double, done: Int, in corpus: CorpusDirectory
  ) throws {
    let text = """
      {"format": "checkpoint-corpus claim", "version": 1, "host": "\(host)", "process": 7, "nonce": 1,
       "begun": \(now.timeIntervalSince1970 - begun), "lease_seconds": 600, "runs": 100, "done": \(done)}
      """
    try put("claims/\(name)", Data(text.utf8), age: renewed, in: corpus)
  }

  @Test("counts every run once: sealed, single, and underway")
  func counts() throws {
    let corpus = try corpus()
    try put("shards/000000-000099.h5", Data(count: 5000), age: 100, in: corpus)
    try put("shards/000100-000199.h5", Data(count: 5000), age: 50, in: corpus)
    // Sealed already; not sealed; none of those that are asked for; and no run at all.
    try put("runs/000007.h5", Data(count: 60), age: 5000, in: corpus)
    try put("runs/000300.h5", Data(count: 60), age: 5000, in: corpus)
    try put("runs/001000.h5", Data(count: 60), age: 5000, in: corpus)
    try put("runs/.000301.h5.node.1.x.tmp", Data(count: 60), age: 1, in: corpus)
    // Its shard has its name before the claim goes.
    try claim("000100-000199.claim", host: "node1", begun: 500, renewed: 20, done: 100, in: corpus)
    try claim("000400-000499.claim", host: "node1", begun: 120, renewed: 20, done: 40, in: corpus)

    let survey = try GenerationSurvey(of: corpus, seeds: 0..<600, now: now)
    #expect(survey.stored == 201)
    #expect(survey.underway == 40)
    #expect(survey.total == 600)
    #expect(survey.sealedShards == 2)
    #expect(survey.singleRuns == 3)
    #expect(survey.bytes == 10_180)
    #expect(try GenerationSurvey(of: corpus, now: now).stored == 202)
    #expect(try GenerationSurvey(of: corpus, now: now).left == nil)
  }

  @Test("tells rate and time left by nodes, and leaves out those whose leases have ended")
  func rates() throws {
    let corpus = try corpus()
    try put("shards/000000-000099.h5", Data(count: 5000), age: 3000, in: corpus)
    try claim("000100-000199.claim", host: "fast", begun: 110, renewed: 10, done: 50, in: corpus)
    try claim("000200-000299.claim", host: "fast", begun: 110, renewed: 10, done: 30, in: corpus)
    try claim("000300-000399.claim", host: "slow", begun: 210, renewed: 10, done: 20, in: corpus)
    try claim("000400-000499.claim", host: "dead", begun: 2000, renewed: 700, done: 90, in: corpus)

    let survey = try GenerationSurvey(of: corpus, seeds: 0..<500, now: now)
    #expect(survey.nodes.map(\.host) == ["dead", "fast", "slow"])
    #expect(survey.nodes.map(\.lost) == [1, 0, 0])
    #expect(survey.nodes.map(\.done) == [90, 80, 20])
    #expect(abs(survey.nodes[1].rate - 0.8) < 1e-9)
    #expect(abs(survey.rate - 0.9) < 1e-9)
    #expect(survey.done == 200)
    // A second maker of a block adds nothing to what is done.
    try claim("000300-000399.backup", host: "fast", begun: 60, renewed: 10, done: 30, in: corpus)
    let later = try GenerationSurvey(of: corpus, seeds: 0..<500, now: now)
    #expect(later.nodes[1].blocks == 3 && later.nodes[1].done == 110)
    #expect(later.done == 200 && later.rate == survey.rate)
    #expect(abs((survey.left ?? 0) - 300 / 0.9) < 1e-6)
  }

  @Test("tells the rate by the last hour's shards where nobody has a claim")
  func ratesOfShards() throws {
    let corpus = try corpus()
    try put("shards/000000-000099.h5", Data(count: 5000), age: 90_000, in: corpus)
    try put("shards/000100-000199.h5", Data(count: 5000), age: 1000, in: corpus)
    try put("shards/000200-000299.h5", Data(count: 5000), age: 500, in: corpus)
    #expect(try GenerationSurvey(of: corpus, now: now).rate == 0.2)
  }

  @Test("says what a corpus comes to, and that it will not fit")
  func sizes() throws {
    let corpus = try corpus()
    try put("shards/000000-000099.h5", Data(count: 5000), age: 100, in: corpus)
    let survey = try GenerationSurvey(of: corpus, seeds: 0..<1000, now: now)
    #expect(survey.bytesAtEnd == 50_000)
    #expect(survey.freeBytes > 0)
    #expect(
      survey.lines("somewhere", quota: 60_000).contains { $0.contains("50.0 kB at the end, 60.0 kB allowed") }
    )
    #expect(survey.line(quota: 40_000).contains("that will not fit"))
    #expect(!survey.line(quota: 60_000).contains("that will not fit"))
  }

  @Test("names the nodes that failed, and is not confused by claims that are half written")
  func failures() throws {
    let corpus = try corpus()
    try put(
      "claims/node7.failed", Data(#"{"host": "node7", "at": 1799999940, "reason": "wrong bits"}"#.utf8),
      age: 60, in: corpus)
    try put("claims/000000-000099.claim", Data(#"{"format": "checkpoint-co"#.utf8), age: 1, in: corpus)
    try put("claims/.000000-000099.claim.node1.1.x.tmp", Data(), age: 1, in: corpus)
    let survey = try GenerationSurvey(of: corpus, now: now)
    #expect(survey.failures.map(\.host) == ["node7"])
    #expect(survey.nodes.isEmpty)
    #expect(
      survey.lines("somewhere").contains {
        $0.hasPrefix("failed        node7, 2027-01-15") && $0.hasSuffix("wrong bits")
      })
    #expect(survey.line().hasSuffix("failed: node7"))
  }
}
