import ModelSupport
import CorpusStore
import Corpus
import Evaluation
import Foundation
import GenerativeModel
import MetricIndex
import ModelTraining
import PairSampling
import ShardStore
import TestSupport
import Testing

/// Metrics that were not measured, or came out infinite.
@Suite(.temporaryDirectories) struct UnmeasuredTests {
  /// Not measured at first, and one infinite value of either sign.
  private func fixture() throws -> ModelFixture {
    try ModelFixture { run, step in
      if step < 2 { return .nan }
      if run == 1 && step == 5 { return .infinity }
      if run == 2 && step == 5 { return -.infinity }
      return 1 - Float(step) / 30
    }
  }

  @Test func `a training learns from what is finite, and can be stored and gone on with`() throws {
    let fixture = try fixture()
    // Until here it has the directory.
    do {
      let trainer = try fixture.trainer(steps: 4) { $0.training.balance = "metric" }
      #expect(trainer.leftOut.unmeasured == 2 * 8 + 2)
      try TrainingJob(trainer).run()
    }
    let description = try fixture.directory().description()
    #expect(description.step == 4 && description.metricRange == [1 - 22.0 / 30, 1 - 2.0 / 30])
    #expect(
      description.bestTenth.map { description.metricRange[0]...description.metricRange[1] ~= $0 } == true)
    _ = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1)
  }

  @Test func `starts are checkpoints with a metric`() throws {
    let fixture = try fixture()
    let trainer = try fixture.trainer()
    let reader = try StartReader(fixture.corpus, for: trainer.description)
    let starts = try reader.initialStarts(3, split: "train")
    #expect(starts.count == 3 && starts.allSatisfy { $0.step == 2 && $0.metric == 1 - 2.0 / 30 })
    #expect(try reader.leftOut().unmeasured == 2 * 10 + 2)
    let error = #expect(throws: CorpusError.self) { try reader.start(run: 1, step: 5) }
    #expect(error?.code == .invalidArgument && error?.remedy.contains("2") == true)
  }

  /// Earlier programs called runs of any task out of range.
  @Test func `runs out of range are learned from where that is asked for`() throws {
    let fixture = try ModelFixture()
    let writer = try CorpusWriter(fixture.corpus, index: try MetricIndex(openingOrCreating: fixture.corpus))
    var encoder = try RunEncoder(
      header: ShardHeader(manifest: fixture.corpus.manifest, codec: .delta, checkpoints: 23))
    _ = try writer.store(20, with: &encoder) { () throws(CorpusError) in
      let made = TestCorpus.run(3, parameters: ModelFixture.architecture.parameterCount)
      return Run(
        seed: 20, iterations: made.iterations, metrics: [made.metrics[0], made.metrics[0]],
        parameters: made.parameters.map { 100 * $0 })
    }
    for run in Int64(21)..<30 {
      _ = try writer.store(run, with: &encoder) { () throws(CorpusError) in
        let made = TestCorpus.run(run, parameters: ModelFixture.architecture.parameterCount)
        return Run(
          seed: run, iterations: made.iterations, metrics: [made.metrics[0], made.metrics[0]],
          parameters: made.parameters)
      }
    }
    try writer.finish()
    let usual = try fixture.trainer(into: "usual")
    #expect(usual.leftOut.runs == [.outOfRange: 1] && usual.description.corpus.statuses == nil)
    do {
      let trainer = try Trainer(
        ModelFixture.configuration(steps: 2), on: fixture.corpus, statuses: [.ok, .outOfRange],
        into: fixture.directory(), workers: 1)
      #expect(
        trainer.leftOut.isEmpty && trainer.description.corpus.runs == usual.description.corpus.runs + 1)
      try TrainingJob(trainer).run()
    }
    let resumed = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1)
    #expect(resumed.description.corpus.statuses == [.ok, .outOfRange])
  }
}
