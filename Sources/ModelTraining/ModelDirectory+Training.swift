import VectorKernels
import Platform
import ArrayFiles
import ShardStore
import Corpus
import Foundation
import GenerativeModel

/// What a training stores, and goes on with.
extension ModelDirectory {
  /// Claims the directory, made where it is missing, for one training: until its owner lets go of what this returns.
  ///
  /// - Throws: `claimedElsewhere` if another process, or another training of this one, has it.
  func claim() throws(CorpusError) -> RunLocks {
    try Files.createDirectory(path)
    let locks = try RunLocks(directory: path)
    // Without locks in the file system, trainings cannot be told apart, and this one may well be alone.
    let isOurs = (try? locks.lock(0)) ?? true
    guard isOurs else {
      throw CorpusError(
        .claimedElsewhere, "another process is training \(path)",
        remedy: "wait until it has ended, or choose another --out")
    }
    return locks
  }

  /// Stores a model and its training, so that a crash leaves either this state or the one before to go on from.
  ///
  /// The averaged weights become the model's unless an evaluation has found others better, which ``writeWeights(_:_:layout:)``
  /// has stored then.
  func write(
    _ description: ModelDescription, _ state: TrainingWeights, smoothing: LossAverage, layout: WeightLayout
  ) throws(CorpusError) {
    let json = try CanonicalJSON.string(description)
    try TensorFile.write(
      state.parts.flatMap { layout.tensors($0, in: $1) },
      metadata: [
        "format": "checkpoint-corpus training", "description": json,
        "loss_average": try CanonicalJSON.string(smoothing),
      ], to: trainingPath)
    // What follows can be made of it again.
    if description.bestEvaluation == nil { try writeWeights(description, state, layout: layout) }
    try Files.write(description.sealed(), to: descriptionPath)
  }

  /// Stores the averaged weights as those that samples are drawn with.
  func writeWeights(
    _ description: ModelDescription, _ state: TrainingWeights, layout: WeightLayout
  ) throws(CorpusError) {
    try TensorFile.write(
      layout.tensors(in: state.ema.base),
      metadata: ["format": "checkpoint-corpus model", "step": "\(description.step)"],
      to: weightsPath)
  }

  /// Reads what ``write(_:_:smoothing:layout:)`` has stored.
  func readTraining() throws(CorpusError) -> (
    description: ModelDescription, smoothing: LossAverage, file: TensorFile
  ) {
    let file = try TensorFile(opening: trainingPath)
    guard let json = file.metadata["description"], let average = file.metadata["loss_average"],
      let smoothing = try? CanonicalJSON.decode(LossAverage.self, from: Data(average.utf8))
    else {
      throw CorpusError(
        .malformedModel, "\(trainingPath) is no training state",
        remedy: "restore it from a copy, or begin anew")
    }
    return (try ModelDescription.parse(Data(json.utf8), path: trainingPath), smoothing, file)
  }

  func read(_ file: TensorFile, _ layout: WeightLayout, into state: TrainingWeights) throws(CorpusError) {
    for (prefix, memory) in state.parts { try layout.read(prefix, of: file, into: memory) }
  }
}

/// The mean loss of the last updates, older ones counting ever less.
struct LossAverage: Hashable, Sendable, Codable {
  private var sum = 0.0
  private var weight = 0.0

  mutating func add(_ loss: Double) {
    sum = 0.98 * sum + 0.02 * loss
    weight = 0.98 * weight + 0.02
  }

  var value: Double { weight > 0 ? sum / weight : 0 }
}
