import Corpus
import Foundation
import TestSupport
import Testing

/// `corpus report` on a small model of real policies.
@Suite(.temporaryDirectories) struct ReportCommandTests {
  private let fixture: CommandFixture
  private var folder: String { fixture.temporary.path }
  private var model: String { folder + "/model" }

  init() throws {
    fixture = CommandFixture()
    try fixture.generated("0..<8")
    try """
    {"model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
     "training": {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 20, "evaluate_every": 10}}
    """.write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
    let trained = try Command.run("train", fixture.path, "--out", model, "--config", folder + "/config.json")
    #expect(trained.status == 0, "\(trained)")
  }

  private func report(_ name: String, _ more: String..., shell: String = "") throws -> Command.Result {
    let out = ["report", model, "--out", "\(folder)/\(name)", "--samples", "2", "--sampling-steps", "3"]
    return try Command.run(out + more, shell: shell)
  }

  private func sections(_ name: String) throws -> [String: [String: Any]] {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name).evaluation.json"))
    let json = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    let models = try #require(json?["models"] as? [[String: Any]])
    return try #require(models.first?["sections"] as? [String: [String: Any]])
  }

  @Test func `makes a page and its numbers, and replaces neither unasked`() throws {
    let made = try report("page.html", "--sections", "prompts,over_training,cartpole,walks,corpus,made")
    #expect(made.status == 0 && made.output.contains("page.evaluation.json"), "\(made)")
    let sections = try sections("page")
    #expect(sections.values.allSatisfy { $0["left_out"] == nil } && sections.count == 6, "\(sections.keys)")
    let groups = (sections["prompts"]?["within_corpus"] as? [String: Any])?["groups"] as? [[String: Any]]
    #expect(groups?.compactMap { $0["starts"] as? String } == ["training runs", "held-out runs", "random"])
    let page = try String(contentsOfFile: folder + "/page.html", encoding: .utf8)
    #expect(page.contains("<!doctype html>") && !page.contains("src="))

    let again = try report("page.html")
    #expect(again.status == 1 && again.error.contains("--force"), "\(again)")
    #expect(try report("page.html", "--sections", "made", "--force").status == 0)
  }

  @Test func `a single sample, a prompt out of range and a corpus that moved still make a page`() throws {
    let one = try report(
      "one.html", "--samples", "1", "--target", "1e6", "--sections", "prompts,walks,landscape")
    #expect(one.status == 0, "\(one)")
    #expect(try sections("one").values.allSatisfy { $0["left_out"] == nil }, "\(one)")
    try FileManager.default.moveItem(atPath: fixture.path, toPath: folder + "/moved")
    let lost = try report("lost.html", "--sections", "prompts,made")
    #expect(lost.status == 0 && lost.error.contains("prompts is left out"), "\(lost)")
    #expect(lost.error.contains("--corpus"))
    let found = try report("found.html", "--sections", "prompts", "--corpus", folder + "/moved")
    #expect(found.status == 0 && !found.error.contains("left out"), "\(found)")
  }

  @Test func `refuses what cannot be, and says so`() throws {
    func refusal(_ result: Command.Result, _ text: String) {
      #expect(result.status != 0 && result.error.contains(text), "\(result)")
    }
    refusal(try report("a.html", "--sections", "prompt"), "prompt")
    refusal(try report("a.html", "--samples", "0"), "--samples")
    refusal(try report("a.html", "--cells", "8"), "--cells")
    refusal(try report("a.html", "--target", "nan"), "no finite number")
    refusal(try Command.run("report", model, "--out", "-"), "name a file")
    refusal(try Command.run("report", fixture.path, "--out", folder + "/a.html"), "holds no model")
    refusal(try Command.run("report", model, "--out", folder), "is there already")
    refusal(try Command.run("report", model, "--out", "/proc/none/a.html"), "/proc/none")
    refusal(try report("full.html", "--sections", "made", shell: "ulimit -f 8;"), "the disk is full")
    #expect(!FileManager.default.fileExists(atPath: folder + "/full.html"))
  }

  @Test func `goes on where it was stopped`() throws {
    let command = Command([
      "report", model, "--out", folder + "/page.html", "--samples", "16", "--sampling-steps", "50",
    ])
    try command.start()
    // Until a section is kept.
    let parts = folder + "/.page.html.parts"
    for _ in 0..<600 {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: parts)) ?? []
      if names.contains(where: { $0.hasSuffix(".json") && !$0.hasPrefix(".") }) { break }
      Thread.sleep(forTimeInterval: 0.05)
    }
    kill(command.process.processIdentifier, SIGINT)
    let stopped = command.finish()
    #expect(stopped.status == 130 && stopped.error.contains("run the same command again"), "\(stopped)")
    #expect(!FileManager.default.fileExists(atPath: folder + "/page.html"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: parts).contains { $0.hasPrefix("prompts-") })
  }
}
