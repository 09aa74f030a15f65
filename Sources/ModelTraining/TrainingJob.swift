public import Platform
public import Corpus
import Foundation
public import GenerativeModel

/// A training from where it stands to its end, stored and evaluated now and then.
public struct TrainingJob {
  private let trainer: Trainer
  /// Seconds between two times that it is stored.
  public var saveInterval = 60.0
  /// How often training's course is noted in all.
  public var records = 100
  /// Measures how well a model's prompts are met; nil where nobody can, and the last weights are then the model's.
  public var evaluate: ((Sampler) throws(CorpusError) -> TrainingEvaluation)?

  public init(_ trainer: Trainer) { self.trainer = trainer }

  /// Plans as many updates as fit into so much time beside the evaluations, which get at most half of it and of which
  /// the first is made here.
  public func plan(seconds: Double) throws(CorpusError) {
    let start = ContinuousClock.now
    if let evaluate, trainer.isEvaluationDue { try trainer.record(evaluate(trainer.sampler())) }
    let evaluations =
      Double(TrainingConfiguration.usualEvaluations) * ((ContinuousClock.now - start) / .seconds(1))
    try trainer.plan(seconds: max(seconds / 2, seconds - evaluations))
  }

  /// Trains to the end.
  ///
  /// - Parameter progress: called after each update and each evaluation.
  /// - Throws: `interrupted`, after the model is stored; `diverged`, with the stored one as it was before.
  public func run(
    cancellation: Cancellation = Cancellation(), progress: (Trainer) -> Void = { _ in }
  ) throws(CorpusError) {
    // A directory that cannot be written to is known before hours of work.
    if trainer.step == 0 { try trainer.save() }
    let interval = max(1, trainer.description.training.steps / records)
    var saved = Date()
    var isChanged = false
    while true {
      // First of all, as an evaluation that was interrupted is made before training goes on.
      if let evaluate, trainer.isEvaluationDue {
        try evaluateNow(evaluate)
        progress(trainer)
        isChanged = true
      }
      if trainer.isComplete { break }
      try trainer.advance()
      isChanged = true
      if trainer.step.isMultiple(of: interval) || trainer.isComplete { trainer.record() }
      progress(trainer)
      if cancellation.isCancelled { try stop() }
      if Date().timeIntervalSince(saved) > saveInterval {
        try trainer.save()
        saved = Date()
      }
    }
    if isChanged { try trainer.save() }
  }

  private func evaluateNow(
    _ evaluate: (Sampler) throws(CorpusError) -> TrainingEvaluation
  ) throws(CorpusError) {
    let evaluation: TrainingEvaluation
    do throws(CorpusError) {
      evaluation = try evaluate(trainer.sampler())
    } catch  where error.code == .interrupted {
      return try stop()
    }
    try trainer.record(evaluation)
  }

  private func stop() throws(CorpusError) {
    try trainer.save()
    throw CorpusError(
      .interrupted, "stopped on request after \(trainer.step) updates", remedy: "go on with --resume")
  }
}
