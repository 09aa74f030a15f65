import TestSupport
import ModelSupport
import Platform
import Corpus
import Foundation
import GenerativeModel
import ModelTraining
import Testing

@Suite(.temporaryDirectories) struct TrainingTests {
  @Test func `resuming gives the same bits`() throws {
    let fixture = try ModelFixture()
    try TrainingJob(fixture.trainer(into: "whole")).run()
    do {
      let first = try fixture.trainer(into: "parts")
      for _ in 0..<5 { try first.advance() }
      try first.save()
      // What was not stored is lost, and made again.
      for _ in 0..<3 { try first.advance() }
    }
    let second = try Trainer(resuming: fixture.directory("parts"), on: fixture.corpus, workers: 1)
    #expect(second.step == 5)
    while !second.isComplete {
      try second.advance()
      second.record()
    }
    try second.save()
    #expect(
      try fixture.bytes("whole", of: "model.safetensors") == fixture.bytes("parts", of: "model.safetensors"))
  }

  @Test func `workers do not matter`() throws {
    let fixture = try ModelFixture()
    for workers in [1, 3] {
      try TrainingJob(fixture.trainer(into: "\(workers)", workers: workers)).run()
    }
    #expect(
      try fixture.bytes("1", of: "training.safetensors") == fixture.bytes("3", of: "training.safetensors"))
  }

  @Test func `learns`() throws {
    let fixture = try ModelFixture()
    let trainer = try fixture.trainer(steps: 300) { $0.training.learningRate = 3e-3 }
    trainer.record()
    let before = try #require(trainer.description.history[0].heldOutLoss)
    try TrainingJob(trainer).run()
    let after = try #require(trainer.description.history.last?.heldOutLoss)
    #expect(after < 0.8 * before)
    #expect(trainer.description.step == 300)
  }

  /// Runs have 23 checkpoints: two of them would be 0 and 11, and 22 is as far again.
  @Test func `learns from some checkpoints of each run`() throws {
    let fixture = try ModelFixture()
    let some = try fixture.trainer(into: "some") { $0.training.checkpointsPerRun = 2 }
    let same = try Trainer(
      ModelFixture.configuration(), on: fixture.corpus, condition: "step IN (0, 11, 22)",
      into: fixture.directory("same"), workers: 1)
    for trainer in [some, same] { try trainer.advance() }
    #expect(some.smoothedLoss == same.smoothedLoss)
    let none = fixture.directory("none")
    let both = try Trainer(
      ModelFixture.configuration { $0.training.checkpointsPerRun = 2 }, on: fixture.corpus,
      condition: "run = 1 OR run = 2", into: none, workers: 1)
    #expect(both.description.corpus.runs == 2 && both.description.corpus.condition == "run = 1 OR run = 2")
  }

  @Test(arguments: ["1) OR (1", "run = 1) OR (run > 0"])
  func noConditionReachesBeyondItself(condition: String) throws {
    let fixture = try ModelFixture()
    #expect(
      code {
        _ = try Trainer(
          ModelFixture.configuration { $0.training.checkpointsPerRun = 2 }, on: fixture.corpus,
          condition: condition, into: fixture.directory("none"), workers: 1)
      } == .invalidSQL)
  }

  @Test func `a model has one training at a time`() throws {
    let fixture = try ModelFixture()
    let first = try fixture.trainer()
    #expect(code { _ = try fixture.trainer() } == .claimedElsewhere)
    try first.save()
    #expect(
      code { _ = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1) }
        == .claimedElsewhere)
    withExtendedLifetime(first) {}
  }

  @Test func `a training that has ended lets others go on`() throws {
    let fixture = try ModelFixture()
    do { try fixture.trainer(steps: 3).save() }
    try TrainingJob(Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1)).run()
    #expect(try fixture.directory().description().step == 3)
  }

  @Test func `is stored when interrupted`() throws {
    let fixture = try ModelFixture()
    let trainer = try fixture.trainer()
    let cancellation = Cancellation()
    #expect(
      code {
        try TrainingJob(trainer).run(cancellation: cancellation) { if $0.step == 4 { cancellation.cancel() } }
      }
        == .interrupted)
    #expect(try fixture.directory().description().step == 4)
  }

  @Test func `stops where it diverges`() throws {
    let fixture = try ModelFixture()
    do {
      let first = try fixture.trainer()
      for _ in 0..<5 { try first.advance() }
      try first.save()
    }
    // One weight that is no number makes everything so, as an update that went too far would.
    let path = "\(fixture.directory().path)/training.safetensors"
    var data = try ModelFixture.unhashed(Data(contentsOf: URL(fileURLWithPath: path)))
    let header = data.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
    let members = try #require(
      try JSONSerialization.jsonObject(with: data[8..<(8 + header)]) as? [String: [String: Any]])
    let place = try #require(members["weights.positions"]?["data_offsets"] as? [Int])[0]
    data.replaceSubrange((8 + header + place)..<(12 + header + place), with: [0, 0, 0xC0, 0x7F])
    try data.write(to: URL(fileURLWithPath: path))
    let model = try fixture.bytes("model", of: "model.safetensors")

    let second = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1)
    do throws(CorpusError) {
      try TrainingJob(second).run()
      Issue.record("it went on")
    } catch {
      #expect(error.code == .diverged && error.message.contains("update 5"))
    }
    #expect(try fixture.directory().description().step == 5)
    #expect(try fixture.bytes("model", of: "model.safetensors") == model)
  }

  @Test func `runs without held-out runs`() throws {
    let fixture = try ModelFixture(testFraction: 0)
    let trainer = try fixture.trainer(steps: 2)
    #expect(!trainer.hasHeldOut)
    try TrainingJob(trainer).run()
    #expect(try fixture.directory().description().history.allSatisfy { $0.heldOutLoss == nil })
  }

  @Test func `plans as many updates as fit`() throws {
    let fixture = try ModelFixture()
    let trainer = try fixture.trainer()
    try trainer.plan(seconds: 1)
    #expect(trainer.description.training.steps > 10)
    #expect(trainer.step == 0)
  }

  @Test func `describes itself`() throws {
    let fixture = try ModelFixture()
    try TrainingJob(fixture.trainer(steps: 3)).run()
    let description = try fixture.directory().description()
    #expect(description.task == "made-up" && description.architecture == ModelFixture.architecture)
    #expect(description.metric == .trainReturn && description.corpus.runs == 8)
    #expect(description.metricRange[0] < description.metricRange[1])
    #expect(description.model == ModelFixture.configuration().model)
    #expect(description.history.map(\.step) == [1, 2, 3])
  }
}
