public import Corpus
import Foundation

/// A training from where it stands to its end, stored now and then.
public struct TrainingJob {
  private let trainer: Trainer
  /// Seconds between two times that it is stored.
  public var saveInterval = 60.0
  /// How often training's course is noted in all.
  public var records = 100

  public init(_ trainer: Trainer) { self.trainer = trainer }

  /// Trains to the end.
  ///
  /// - Parameter progress: called after each update.
  /// - Throws: `interrupted`, after the model is stored; `diverged`, with the stored one as it was before.
  public func run(
    cancellation: Cancellation = Cancellation(), progress: (Trainer) -> Void = { _ in }
  ) throws(CorpusError) {
    if trainer.isComplete { return }
    let interval = max(1, trainer.description.training.steps / records)
    var saved = Date()
    // A directory that cannot be written to is known before hours of work.
    if trainer.step == 0 { try trainer.save() }
    while !trainer.isComplete {
      try trainer.advance()
      if trainer.step.isMultiple(of: interval) || trainer.isComplete { trainer.record() }
      progress(trainer)
      if cancellation.isCancelled {
        try trainer.save()
        throw CorpusError(
          .interrupted, "stopped on request after \(trainer.step) updates",
          remedy: "go on with --resume")
      }
      if Date().timeIntervalSince(saved) > saveInterval {
        try trainer.save()
        saved = Date()
      }
    }
    try trainer.save()
  }
}
