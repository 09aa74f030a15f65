import Corpus
import Foundation
import GenerativeModel
import ModelSupport
import ModelTraining
import Platform
import Report
import ShardStore
import TestSupport
import Testing

/// Reports on a model of a task that this program cannot evaluate, which leaves the sections that need no evaluator.
@Suite(.temporaryDirectories) struct ReportTests {
  private let fixture: ModelFixture

  init() throws {
    // A metric that tells runs apart, and falls by the step.
    fixture = try ModelFixture { run, step in Float(run) + 100 - Float(step) }
    let trainer = try fixture.trainer(steps: 2)
    for _ in 0..<2 { try trainer.advance() }
    try trainer.save()
  }

  private var parts: String { fixture.folder.path + "/parts" }

  private func report(
    _ directory: ModelDirectory? = nil, options: ReportOptions = ReportOptions(),
    cancellation: Cancellation = Cancellation(),
    progress: @escaping @Sendable (ReportJob.Progress) -> Void = { _ in }
  ) throws -> Report {
    try ReportJob([directory ?? fixture.directory()], options: options)
      .run(keepingIn: parts, cancellation: cancellation, progress: progress)
  }

  private func sections(_ report: Report) throws -> [String: [String: Any]] {
    let json = try JSONSerialization.jsonObject(with: report.json) as? [String: Any]
    #expect(json?["format"] as? String == Report.format && json?["version"] as? Int == Report.version)
    let models = try #require(json?["models"] as? [[String: Any]])
    return try #require(models.first?["sections"] as? [String: [String: Any]])
  }

  @Test func `what needs an evaluator is left out with a remedy, and the rest is there`() throws {
    let sections = try sections(report())
    #expect(Set(sections.keys) == Set(ReportSection.allCases.map(\.rawValue)))
    for name in ["prompts", "over_training", "landscape", "walks", "cartpole"] {
      #expect(sections[name]?["left_out"] is String && sections[name]?["remedy"] is String, "\(name)")
    }
    let corpus = try #require(sections["corpus"])
    #expect(corpus["runs"] as? Int == 10 && corpus["checkpoints"] as? Int == 230)
    let made = try #require(sections["made"])
    let commands = try #require(made["commands"] as? [String])
    #expect(
      commands.first == "corpus generate --recipe recipe.json --runs '0...9' --out \(fixture.corpus.path)")
    let files = try #require(made["files"] as? [[String: String]])
    let recipe = try #require(files.first { $0["name"] == "recipe.json" }?["text"])
    #expect(
      try RecipeFile(json: Data(recipe.utf8), path: "recipe.json") == RecipeFile(of: fixture.corpus.manifest))
  }

  @Test func `curves are quantiles over runs, and histograms count every checkpoint`() throws {
    let corpus = try #require(try sections(report())["corpus"])
    let curves = try #require(corpus["curves"] as? [[String: Any]])
    // The metric of prompts comes first.
    #expect(curves.first?["metric"] as? String == "train_return" && curves.first?["runs"] as? Int == 10)
    let quantiles = try #require(curves.first?["quantiles"] as? [[Double]])
    // At iteration 0 the runs have 100 to 109.
    #expect(quantiles.first == [100.45, 102.25, 104.5, 106.75, 108.55])
    for curve in curves {
      let histogram = try #require(curve["histogram"] as? [String: Any])
      let layers = histogram["layers"] as? [[String: Any]] ?? []
      for shares in [histogram["counts"]] + layers.map({ $0["shares"] }) {
        #expect(abs(try #require(shares as? [Double]).reduce(0, +) - 1) < 1e-9)
      }
    }
    let layers = (curves[0]["histogram"] as? [String: Any])?["layers"] as? [[String: Any]]
    #expect(layers?.count == 2, "starts and targets of the model's own pairs")
  }

  @Test func `who is stopped goes on with what is kept, and believes nothing that was damaged`() throws {
    let cancellation = Cancellation()
    #expect(
      code {
        _ = try report(cancellation: cancellation) { if $0.section == .made { cancellation.cancel() } }
      } == nil, "the last section ends")
    let kept = try #require(try Files.names(in: parts).first { $0.hasPrefix("corpus-") })
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(parts)/\(kept)"))
    let other = Cancellation()
    let stopped = code {
      _ = try report(cancellation: other) { if $0.section == .audit { other.cancel() } }
    }
    #expect(stopped == .interrupted)
    #expect(try Files.names(in: parts).contains(kept))

    // What is kept is what the report says, as long as it is whole.
    let before = try FileManager.default.attributesOfItem(atPath: "\(parts)/\(kept)")[.systemFileNumber]
    let first = try report().json
    let after = try FileManager.default.attributesOfItem(atPath: "\(parts)/\(kept)")[.systemFileNumber]
    #expect(before as? Int == after as? Int, "it was not written again")
    var damaged = whole
    damaged[damaged.count - 20] ^= 1
    try damaged.write(to: URL(fileURLWithPath: "\(parts)/\(kept)"))
    #expect(try report().json == first)
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(parts)/\(kept)")) == whole)
  }

  @Test func `other options are other sections, and what nobody needs goes`() throws {
    _ = try report()
    let before = try Files.names(in: parts)
    var options = ReportOptions()
    options.samples = 3
    _ = try report(options: options)
    #expect(Set(before).isDisjoint(with: try Files.names(in: parts)))
  }

  @Test func `a corpus that has moved is named, with the flag that finds it`() throws {
    try FileManager.default.moveItem(
      atPath: fixture.corpus.path, toPath: fixture.folder.path + "/moved")
    let corpus = try #require(try sections(report())["corpus"])
    #expect((corpus["remedy"] as? String)?.contains("--corpus") == true, "\(corpus)")
    var options = ReportOptions()
    options.corpus = fixture.folder.path + "/moved"
    #expect(try sections(report(options: options))["corpus"]?["runs"] as? Int == 10)
  }

  @Test func `texts of a model end no element of the page`() throws {
    let name = "a<script>b"
    try FileManager.default.copyItem(
      atPath: fixture.directory().path, toPath: fixture.folder.path + "/" + name)
    let report = try report(fixture.directory(name))
    let page = String(decoding: Report.page(try report.json), as: UTF8.self)
    #expect(page.hasPrefix("<!doctype html>") && page.contains("a\\u003cscript>b"))
    #expect(!page.contains(name) && !page.contains("{{"))
    #expect(page.ranges(of: "<script").count == page.ranges(of: "</script>").count)
  }
}
