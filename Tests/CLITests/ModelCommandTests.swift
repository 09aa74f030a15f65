import Platform
import Corpus
import Foundation
import TestSupport
import Testing

/// `corpus train`, `prompt` and `evaluate`, on a small corpus of real policies.
@Suite(.temporaryDirectories) struct ModelCommandTests {
  private let fixture: CommandFixture
  private var model: String { fixture.temporary.path + "/model" }

  init() throws {
    fixture = CommandFixture()
    try fixture.generated("0..<8")
  }

  /// Small, so that tests are quick.
  private func configuration(_ members: String = "") throws -> String {
    let path = fixture.temporary.path + "/config.json"
    try """
    {"model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
     "training": {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 20, "augmentation": "canonical",
                  "evaluate_every": 10\(members)}}
    """.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  @discardableResult
  private func train(_ arguments: String...) throws -> Command.Result {
    let config = try configuration()
    return try Command.run(["train", fixture.path, "--out", model, "--config", config] + arguments)
  }

  private func prompt(_ arguments: String...) throws -> Command.Result {
    try Command.run(["prompt", model, "--sampling-steps", "5"] + arguments)
  }

  @Test func `goes from a corpus to a network on file`() throws {
    let trained = try train()
    #expect(trained.status == 0 && trained.error.contains("20/20 updates"), "\(trained)")
    #expect(trained.error.contains("of memory") && trained.error.contains("held out"))
    // 8 runs hold one out; both kinds of starts are prompted on the way, by the real evaluator.
    #expect(trained.error.contains("its weights are those of update"), "\(trained)")
    #expect(trained.error.contains("held-out runs: alignment") && trained.error.contains("random: alignment"))
    let description =
      try JSONSerialization.jsonObject(
        with: Data(contentsOf: URL(fileURLWithPath: model + "/model.json"))) as? [String: Any]
    let evaluations = try #require(description?["evaluations"] as? [[String: Any]])
    #expect(evaluations.compactMap { $0["step"] as? Int } == [0, 10, 20])

    let file = fixture.temporary.path + "/networks.safetensors"
    let answer = try prompt(
      "--target", "300", "--target", "10", "--count", "2", "--out", file, "--format", "csv")
    #expect(answer.status == 0, "\(answer)")
    let lines = answer.output.split(separator: "\n")
    #expect(lines[0] == "start,start_train_return,prompted,reached" && lines.count == 5)
    #expect(lines[1].hasPrefix("random,") && lines[1].contains(",300.0,"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: file)).count > 4 * 1250 * 4)
    #expect(answer.error.contains("far outside"), "the runs reach nothing like 300")
    #expect(try prompt("--target", "300", "--out", file).error.contains("is there already"))

    let stored = try prompt("--target", "10", "--start", "7:3", "--samples", "2", "--format", "csv")
    #expect(stored.output.split(separator: "\n").dropFirst().allSatisfy { $0.hasPrefix("7:3,") })

    let evaluated = try Command.run(
      ["evaluate", model, "--networks", "2", "--prompts", "3", "--recursions", "2", "--sampling-steps", "3"])
    #expect(evaluated.status == 0 && evaluated.output.contains("training runs"), "\(evaluated)")
    #expect(evaluated.output.contains("alignment") && evaluated.output.contains("random"))
    let json = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(fileURLWithPath: model + "/evaluation.json")))
    let groups = try #require((json as? [String: Any])?["groups"] as? [[String: Any]])
    #expect(groups.compactMap { $0["starts"] as? String } == ["training runs", "held-out runs", "random"])
  }

  @Test func `goes on after every kill, to the same weights`() throws {
    let config = try configuration()
    func arguments(_ name: String, _ more: [String] = []) -> [String] {
      ["train", fixture.path, "--out", fixture.temporary.path + "/" + name] + more
    }
    let whole = try Command.run(
      arguments("whole", ["--config", config, "--steps", "4000", "--evaluate-every", "2000"]))
    #expect(whole.status == 0, "\(whole)")
    var random = PhiloxGenerator(seed: 4)
    var kills = 0
    while true {
      // Killed before anything was there, it begins anew.
      let begins = !Files.exists(fixture.temporary.path + "/parts/training.safetensors")
      let more = begins ? ["--config", config, "--steps", "4000", "--evaluate-every", "2000"] : ["--resume"]
      let command = Command(arguments("parts", more + ["--save-seconds", "0.02"]))
      try command.start()
      if kills < 6 {
        Thread.sleep(forTimeInterval: 0.05 + 0.3 * Double(random.uniform()))
        kill(command.process.processIdentifier, SIGKILL)
        kills += 1
      }
      if command.finish().status == 0 { break }
    }
    #expect(kills >= 2)
    let weights = try ["whole", "parts"].map {
      try Data(contentsOf: URL(fileURLWithPath: "\(fixture.temporary.path)/\($0)/model.safetensors"))
    }
    #expect(weights[0] == weights[1])
  }

  @Test func `explains what is wrong`() throws {
    #expect(try train().status == 0)
    func refusal(_ result: Command.Result, _ text: String) {
      #expect(result.status != 0 && result.error.contains(text), "\(result)")
    }
    refusal(try train(), "holds a model already")
    refusal(try prompt("--target", "much"), "much")
    refusal(try prompt("--target", "nan"), "no finite number")
    refusal(try prompt("--target", "10", "--start", "7"), "RUN:STEP")
    refusal(try prompt("--target", "10", "--start", "99:0"), "there is no run 99")
    refusal(try prompt("--target", "10", "--start", "1:99"), "has no step 99")
    refusal(try prompt("--target", "10", "--sampling-steps", "51"), "1 to 50")
    refusal(try Command.run("prompt", fixture.path, "--target", "1"), "holds no model")
    refusal(try Command.run("train", fixture.path, "--out", model, "--resume", "--steps", "3"), "leave out")
    refusal(
      try Command.run("train", fixture.path, "--out", model, "--resume", "--patience", "3"), "leave out")
    refusal(
      try Command.run("train", fixture.path, "--out", model + "4", "--balance", "evenly"), "balance is evenly"
    )
    refusal(
      try Command.run("train", fixture.path, "--out", model + "4", "--patience", "0"), "patience is 0")
    refusal(try Command.run("evaluate", model, "--best", "much"), "much")
    refusal(
      try Command.run("train", fixture.path, "--out", model + "2", "--metric", "loss"), "has no metric loss")
    refusal(
      try Command.run("train", fixture.path, "--out", "/proc/none/model", "--steps", "1"), "/proc/none")
    refusal(
      try Command.run("train", fixture.path, "--out", model + "3", "--config", fixture.path + "/corpus.json"),
      "no configuration")
    try fixture.generated("8..<10")
    refusal(try Command.run("train", fixture.path, "--out", model, "--resume"), "is not what")
  }

  @Test func `prints the configuration that it would use`() throws {
    let printed = try Command.run("train", fixture.path, "--preset", "cartpole", "--print-config")
    #expect(printed.status == 0 && printed.output.contains("\"width\" : 1536"), "\(printed)")
    let path = fixture.temporary.path + "/printed.json"
    try printed.output.write(toFile: path, atomically: true, encoding: .utf8)
    let again = try Command.run("train", fixture.path, "--config", path, "--print-config")
    #expect(again.output == printed.output)
  }
}
