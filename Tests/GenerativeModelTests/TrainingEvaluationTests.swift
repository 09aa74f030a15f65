import TestSupport
import ModelSupport
import Corpus
import Foundation
import GenerativeModel
import ModelTraining
import Testing

/// What a training does with evaluations of prompts, whoever makes them.
@Suite(.temporaryDirectories) struct TrainingEvaluationTests {
  private let fixture: ModelFixture

  init() throws { fixture = try ModelFixture() }

  private func trainer(
    _ name: String = "model", steps: Int = 12, every interval: Int = 2, patience: Int? = nil
  ) throws -> Trainer {
    try fixture.trainer(steps: steps, into: name) {
      $0.training.evaluateEvery = interval
      $0.training.patience = patience
    }
  }

  /// A job whose evaluations find these alignments, by the update.
  private func job(_ trainer: Trainer, _ alignment: @escaping (Int) -> Double) -> TrainingJob {
    var job = TrainingJob(trainer)
    job.evaluate = { (model) throws(CorpusError) in Self.evaluation(model.description.step, alignment) }
    return job
  }

  private static func evaluation(_ step: Int, _ alignment: (Int) -> Double) -> TrainingEvaluation {
    let group = TrainingEvaluation.Group(starts: "random", alignment: alignment(step), oneStep: 1)
    return TrainingEvaluation(step: step, bestPrompt: 2, groups: [group])
  }

  /// The averaged weights of a training of the same updates that ends at `step`.
  private func weights(afterUpdate step: Int) throws -> Data {
    let trainer = try trainer("until-\(step)")
    for _ in 0..<step { try trainer.advance() }
    try trainer.save()
    return try fixture.bytes("until-\(step)", of: "model.safetensors")
  }

  @Test func `the model keeps the weights of the best alignment, and training the last ones`() throws {
    let trainer = try trainer()
    try job(trainer) { $0 == 6 ? 0.5 : -1 }.run()
    let description = try fixture.directory().description()
    #expect(description.evaluations?.map(\.step) == [0, 2, 4, 6, 8, 10, 12])
    #expect(description.bestEvaluation?.step == 6 && description.step == 12)
    let best = try weights(afterUpdate: 6)
    #expect(try fixture.bytes("model", of: "model.safetensors") == best)
    #expect(try weights(afterUpdate: 12) != best)
  }

  @Test func `what prompts reached is kept, numbers that are none among it`() throws {
    let prompts = TrainingEvaluation.Prompts(
      startMetrics: [1, 3], prompted: [[1, 1.5, 2], [3, 2.5, 2]],
      observed: [[1, .nan, 2], [3, 4, .infinity]])
    let trainer = try trainer()
    var job = TrainingJob(trainer)
    job.evaluate = { (model) throws(CorpusError) in
      TrainingEvaluation(
        step: model.description.step, bestPrompt: 2,
        groups: [.init(starts: "random", alignment: 0.5, oneStep: 1, prompts: prompts)])
    }
    try job.run()
    let description = try fixture.directory().description()
    let stored = try #require(description.evaluations?.first?.groups.first?.prompts)
    #expect(stored.startMetrics == [1, 3] && stored.prompted == prompts.prompted)
    #expect(stored.observed[1][..<2] == [3, 4])
    #expect(stored.observed[0][1].isNaN && stored.observed[1][2].isNaN)
    // It is the best one, whatever is in it.
    #expect(description.bestEvaluation?.step == 2)
    #expect(try fixture.bytes("model", of: "model.safetensors") == weights(afterUpdate: 2))
  }

  @Test func `evaluations of before prompts were kept are read`() throws {
    let json =
      #"{"best_prompt": 2, "groups": [{"alignment": null, "one_step": 1, "starts": "random"}], "step": 4}"#
    let evaluation = try JSONDecoder().decode(TrainingEvaluation.self, from: Data(json.utf8))
    #expect(evaluation.groups[0].prompts == nil && evaluation.groups[0].alignment.isNaN)
  }

  @Test func `equal alignments keep the first weights, and a number that is none is no better`() throws {
    try job(try trainer()) { $0 == 2 ? 0.5 : $0 == 4 ? .nan : 0.5 }.run()
    #expect(try fixture.directory().description().bestEvaluation?.step == 2)
  }

  /// It gives starts back as they are, and what is learned first may well be worse.
  @Test func `the untrained model is evaluated, and never kept nor waited for`() throws {
    let trainer = try trainer(patience: 2)
    try job(trainer) { $0 == 0 ? 1 : Double($0) / 100 }.run()
    let description = try fixture.directory().description()
    #expect(description.evaluations?.first?.step == 0 && description.bestEvaluation?.step == 12)
    #expect(try fixture.bytes("model", of: "model.safetensors") == weights(afterUpdate: 12))
  }

  @Test func `the evaluation that says how long one takes is the first one`() throws {
    let trainer = try trainer(steps: 4)
    var steps: [Int] = []
    var job = TrainingJob(trainer)
    job.evaluate = { (model) throws(CorpusError) in
      steps.append(model.description.step)
      return Self.evaluation(model.description.step) { _ in 0 }
    }
    try job.plan(seconds: 1e-3)
    try job.run()
    #expect(steps == [0, trainer.step] && trainer.description.evaluations?.map(\.step) == steps)
  }

  @Test func `it ends when alignment has not risen for as long as it is patient`() throws {
    do {
      let trainer = try trainer(patience: 2)
      try job(trainer) { Double(-abs($0 - 4)) }.run()
      #expect(trainer.step == 8 && trainer.isComplete && trainer.description.hasStalled)
    }
    // It is over for good.
    let resumed = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1)
    try job(resumed) { _ in 1 }.run()
    #expect(resumed.step == 8)
    let patient = try self.trainer("patient", patience: 5)
    try job(patient) { Double(-abs($0 - 4)) }.run()
    #expect(patient.step == 12)
  }

  @Test(arguments: [0, 4])
  func `an interrupted evaluation is made when training goes on, which ends at the same bits`(_ at: Int)
    throws
  {
    let alignment: (Int) -> Double = { $0 == 8 ? 1 : 0 }
    try job(try trainer("whole"), alignment).run()
    do {
      var first = TrainingJob(try trainer("parts"))
      first.evaluate = { (model) throws(CorpusError) in
        guard model.description.step < at else { throw CorpusError(.interrupted, "stopped", remedy: "go on") }
        return Self.evaluation(model.description.step, alignment)
      }
      #expect(code { try first.run() } == .interrupted)
    }
    #expect(try fixture.directory("parts").description().step == at)
    let second = try Trainer(resuming: fixture.directory("parts"), on: fixture.corpus, workers: 1)
    #expect(second.isEvaluationDue)
    try job(second, alignment).run()
    for file in ["model.safetensors", "training.safetensors"] {
      #expect(try fixture.bytes("whole", of: file) == fixture.bytes("parts", of: file))
    }
  }

  @Test func `without evaluations the last weights are the model's`() throws {
    let trainer = try trainer(every: 0)
    try job(trainer) { _ in 1 }.run()
    #expect(trainer.description.evaluations == nil)
    let last = try weights(afterUpdate: 12)
    #expect(try fixture.bytes("model", of: "model.safetensors") == last)
  }

  @Test func `descriptions from before there were such choices are read`() throws {
    try fixture.trainer().save()
    let path = "\(fixture.directory().path)/model.json"
    var json = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
    var training = try #require(json["training"] as? [String: Any])
    var model = try #require(json["model"] as? [String: Any])
    for name in ["balance", "directions", "unchanged"] { #expect(training.removeValue(forKey: name) != nil) }
    for name in ["octaves", "tokens"] { #expect(model.removeValue(forKey: name) != nil) }
    for name in ["best_tenth", "sha256"] { #expect(json.removeValue(forKey: name) != nil) }
    (json["training"], json["model"]) = (training, model)
    try JSONSerialization.data(withJSONObject: json).write(to: URL(fileURLWithPath: path))
    let description = try fixture.directory().description()
    #expect(description.training.balance == "none" && description.model.octaves == 14)
    #expect(description.bestPrompt == description.metricRange[1])
  }
}
