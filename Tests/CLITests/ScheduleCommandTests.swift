import Foundation
import TestSupport
import Testing

/// `corpus generate --schedule`, and corpora that an earlier version began, by the real command.
@Suite(.temporaryDirectories) struct ScheduleCommandTests {
  private let fixture = CommandFixture()

  private func recipe() throws -> String {
    let result = try Command.run("recipe", fixture.path)
    #expect(result.status == 0, "\(result)")
    return result.output
  }

  @Test(arguments: ["log", "metric"]) func `keeps other checkpoints, and replays and repairs them`(
    rule: String
  ) throws {
    let made = try fixture.generated("0..<2", CommandFixture.tiny + ["--schedule", rule])
    #expect(made.status == 0, "\(made)")
    #expect(try recipe().contains("\"schedule\" : \"\(rule)\""))
    #expect(try recipe().contains("\"schedule_metric\" : \"train_return\"") == (rule == "metric"))
    #expect(try Command.run("verify", fixture.path, "--replay", "2").status == 0)
    try FileManager.default.removeItem(atPath: fixture.path + "/runs/000/000001.h5")
    #expect(try Command.run("repair", fixture.path).output.contains("1 run repaired"))
    // Elsewhere, from its recipe.
    let file = fixture.temporary.path + "/recipe.json"
    try recipe().write(toFile: file, atomically: true, encoding: .utf8)
    let again = try Command.run(
      "generate", "--recipe", file, "--runs", "2", "--out", fixture.path, "--quiet")
    #expect(again.status == 0, "\(again)")
  }

  @Test func `says nothing of the published rule`() throws {
    try fixture.generated("0", CommandFixture.tiny + ["--schedule", "uniform"])
    #expect(try !recipe().contains("schedule"))
    let other = try fixture.generated("1", CommandFixture.tiny + ["--schedule", "log"])
    #expect(other.status == 1 && other.error.contains("schedule missing, not \"log\""), "\(other)")
  }

  @Test func `refuses a metric that the task does not log`() throws {
    let foreign = try fixture.generated(
      "0", CommandFixture.tiny + ["--schedule", "metric", "--schedule-metric", "test_loss"])
    #expect(foreign.status == 1 && foreign.error.contains("task cartpole does not log"), "\(foreign)")
    #expect(foreign.error.contains("make it train_return"))
    let idle = try fixture.generated("0", CommandFixture.tiny + ["--schedule-metric", "train_return"])
    #expect(idle.status == 1 && idle.error.contains("asks for no metric"), "\(idle)")
    #expect(!FileManager.default.fileExists(atPath: fixture.path))
  }

  @Test func `goes on with a corpus of version 1 as it began`() throws {
    try fixture.generated("0")
    let file = fixture.temporary.path + "/old.json"
    let old = try recipe().replacing("\"generator_version\" : 2", with: "\"generator_version\" : 1")
      .replacing("    \"bias_initialization\" : \"default\",\n", with: "")
    #expect(!old.contains("bias_initialization"))
    try old.write(toFile: file, atomically: true, encoding: .utf8)
    try FileManager.default.removeItem(atPath: fixture.path)
    let begun = try Command.run("generate", "--recipe", file, "--runs", "0", "--out", fixture.path, "--quiet")
    #expect(begun.status == 0, "\(begun)")
    let more = try fixture.generated("0..<3")
    #expect(more.status == 0, "\(more)")
    #expect(try recipe() == old)
    #expect(try Command.run("verify", fixture.path, "--replay", "3").status == 0)
  }
}
