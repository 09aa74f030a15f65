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
    // The corpus's best prompt and the published one, each named with its alignment.
    let published = try #require((json as? [String: Any])?["published"] as? [String: Any])
    #expect(published["best_prompt"] as? Double == 500)
    let prompted = (published["groups"] as? [[String: Any]])?.compactMap { $0["prompted"] as? [[Double]] }
    #expect(prompted?.count == 3 && prompted?.joined().allSatisfy { $0.last == 500 } == true)
    #expect(evaluated.output.contains("alignment to 500") && evaluated.output.contains("best tenth"))
    #expect(evaluated.output.components(separatedBy: "alignment to ").count == 3)
  }

  private func json(_ path: String) throws -> [String: Any] {
    try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
  }

  @Test func `shows what was measured while the model was trained`() throws {
    try train()
    let out = fixture.temporary.path + "/over.json"
    let result = try Command.run("evaluate", model, "--over-training", "--out", out)
    #expect(result.status == 0, "\(result)")
    let rows = result.output.split(separator: "\n").dropFirst(3).map { $0.split(separator: " ") }
    #expect(rows.map { $0.first } == ["0", "10", "20"], "\(result)")
    let stored = try json(out)
    let kept = try #require(stored["kept"] as? Int)
    #expect(rows[kept / 10].last == "weights" && rows[0].last != "weights")
    let evaluations = try #require(stored["evaluations"] as? [[String: Any]])
    #expect(evaluations.compactMap { $0["step"] as? Int } == [0, 10, 20])
    let group = try #require((evaluations[0]["groups"] as? [[String: Any]])?.last)
    let starts = try #require(group["start_metrics"] as? [Double])
    let (prompted, observed) = (group["prompted"] as? [[Double]], group["observed"] as? [[Double]])
    #expect(starts.count == 16 && observed?.map(\.count) == [Int](repeating: 10, count: 16))
    // The untrained model gives starts back, whatever it is prompted for.
    #expect(prompted?.map { $0[0] } == starts)
    for (start, reached) in zip(starts, observed ?? []) {
      #expect(reached.allSatisfy { abs($0 - start) < 0.05 * start }, "\(start): \(reached)")
    }
  }

  @Test func `says where nothing was measured while the model was trained`() throws {
    try train("--evaluate-every", "0")
    let none = try Command.run("evaluate", model, "--over-training")
    #expect(none.status != 0 && none.error.contains("has no evaluations"), "\(none)")
    #expect(none.error.contains("--evaluate-every") && none.output.isEmpty)
    let both = try Command.run("evaluate", model, "--over-training", "--best", "3")
    #expect(both.status != 0 && both.error.contains("leave out --best"), "\(both)")
  }

  private static let few = ["--networks", "1", "--recursions", "1", "--sampling-steps", "2"]

  @Test func `says what lies outside of the corpus, and what one prompt cannot tell`() throws {
    try train("--evaluate-every", "0")
    let outside = try Command.run(["evaluate", model, "--best", "9999", "--prompts", "1"] + Self.few)
    #expect(outside.status == 0 && outside.error.contains("9999.0 lies outside of it"), "\(outside)")
    #expect(outside.error.contains("--prompts 2") && outside.output.contains("undefined"))
    #expect(!outside.output.contains("published"))
    let evaluation = try json(model + "/evaluation.json")
    #expect(evaluation["published"] == nil && evaluation["best_prompt"] as? Double == 9999)
    let group = try #require((evaluation["groups"] as? [[String: Any]])?.first)
    #expect(group["alignment"] is NSNull && group["prompted"] as? [[Double]] == [[9999]])
    // The published best prompt lies outside, too, and is said to.
    let both = try Command.run(["evaluate", model, "--prompts", "2"] + Self.few)
    #expect(both.status == 0 && both.error.contains("500.0 lies outside of it"), "\(both)")
  }

  @Test func `finds a corpus that has moved`() throws {
    try train("--evaluate-every", "0")
    let moved = fixture.path + "-moved"
    try FileManager.default.moveItem(atPath: fixture.path, toPath: moved)
    let missed = try Command.run(["evaluate", model, "--prompts", "2"] + Self.few)
    #expect(missed.status != 0 && missed.error.contains("--corpus"), "\(missed)")
    #expect(missed.error.contains("was trained on \(fixture.path)"))
    #expect(try Command.run(["evaluate", model, "--prompts", "2", "--corpus", moved] + Self.few).status == 0)
  }

  @Test func `an evaluation that is interrupted leaves the one before`() throws {
    try train("--evaluate-every", "0")
    let path = model + "/evaluation.json"
    try "before".write(toFile: path, atomically: true, encoding: .utf8)
    let command = Command(["evaluate", model, "--networks", "2000", "--prompts", "200"])
    try command.start()
    Thread.sleep(forTimeInterval: 1)
    kill(command.process.processIdentifier, SIGINT)
    let result = command.finish()
    #expect(result.status == 130, "\(result)")
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "before")
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
