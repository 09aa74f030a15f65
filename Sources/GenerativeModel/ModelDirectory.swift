import Platform
import ArrayFiles
public import Corpus

/// Where a model lives: `model.json` says what it is, `model.safetensors` holds the averaged weights that samples are
/// drawn with, those of the best alignment so far where that is measured, and `training.safetensors` all that training
/// needs to go on.
public struct ModelDirectory: Sendable {
  public let path: String

  public init(_ path: String) { self.path = path }

  package var descriptionPath: String { "\(path)/model.json" }
  package var weightsPath: String { "\(path)/model.safetensors" }
  package var trainingPath: String { "\(path)/training.safetensors" }

  /// Whether training can go on here.
  public var holdsTraining: Bool { Files.exists(trainingPath) }
  /// Whether anything of a model is here.
  public var holdsModel: Bool { holdsTraining || Files.exists(descriptionPath) || Files.exists(weightsPath) }

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
}
