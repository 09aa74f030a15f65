import Platform
import ShardStore
import ArrayFiles
public import Corpus
import Foundation
import VectorKernels

/// Where a model lives: `model.json` says what it is, `model.safetensors` holds the averaged weights that samples are
/// drawn with, those of the best alignment so far where that is measured, and `training.safetensors` all that training
/// needs to go on.
public struct ModelDirectory: Sendable {
  public let path: String

  public init(_ path: String) { self.path = path }

  var descriptionPath: String { "\(path)/model.json" }
  var weightsPath: String { "\(path)/model.safetensors" }
  var trainingPath: String { "\(path)/training.safetensors" }

  /// Whether training can go on here.
  public var holdsTraining: Bool { Files.exists(trainingPath) }
  /// Whether anything of a model is here.
  public var holdsModel: Bool { holdsTraining || Files.exists(descriptionPath) || Files.exists(weightsPath) }

  /// RunLocks the directory, made where it is missing, for one training: until its owner lets go of what this returns.
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

  /// What `model.json` says.
  public func description() throws(CorpusError) -> ModelDescription {
    guard Files.exists(descriptionPath) else {
      throw CorpusError(
        .malformedModel, "\(path) holds no model: there is no \(descriptionPath)",
        remedy: "name the directory that `corpus train --out` made")
    }
    return try ModelDescription.parse(
      Files.contents(descriptionPath, limit: 1 << 30), path: descriptionPath)
  }

  /// The averaged weights, whose names and shapes are those of the layout.
  func weights(_ layout: WeightLayout) throws(CorpusError) -> TensorFile {
    let file = try TensorFile(opening: weightsPath)
    for tensor in layout.tensors { try file.require(tensor.name, shape: tensor.shape) }
    return file
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
      layout.tensors("weights.", in: state.weights.base)
        + layout.tensors("moments1.", in: state.moments1.base)
        + layout.tensors("moments2.", in: state.moments2.base)
        + layout.tensors("average.", in: state.average.base),
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
      layout.tensors(in: state.average.base),
      metadata: ["format": "checkpoint-corpus model", "step": "\(description.step)"],
      to: weightsPath)
  }

  var nothingToResume: CorpusError {
    CorpusError(
      .malformedModel, "\(path) holds no training to go on with", remedy: "leave out --resume to begin one")
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
    for (prefix, memory) in [
      ("weights.", state.weights.base), ("moments1.", state.moments1.base),
      ("moments2.", state.moments2.base), ("average.", state.average.base),
    ] {
      try layout.read(prefix, of: file, into: memory)
    }
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
