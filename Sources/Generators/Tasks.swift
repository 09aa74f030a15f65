public import Corpus
public import Datasets
import Foundation

/// The tasks that this program can train.
public enum Tasks {
  /// Each by its generator; a new task is added here.
  public static let all: [any Generator.Type] = [
    CartpoleGenerator.self, MNISTGenerator.self, CIFAR10Generator.self,
  ]

  /// The generator whose runs a corpus holds.
  ///
  /// - Throws: `cannotReplay` for a corpus that this program did not make; what is wrong with the recipe or the
  ///   data.
  public static func generator(
    of directory: CorpusDirectory, datasets: DatasetsDirectory
  ) throws(CorpusError) -> any Generator {
    let manifest = directory.manifest
    if let source = manifest.recipe["imported_from"] {
      throw CorpusError(
        .cannotReplay,
        "the runs of \(directory.path) cannot be made again: they were imported (from \(source)), and their "
          + "numbers are no seeds of this program's", remedy: "verify it without --replay")
    }
    guard let type = all.first(where: { $0.task == manifest.task }) else {
      throw CorpusError(
        .cannotReplay,
        "the runs of \(directory.path) cannot be made again: task \(manifest.task) is none of this "
          + "program's", remedy: "verify it without --replay")
    }
    guard manifest.generatorVersion == generatorVersion else {
      throw CorpusError(
        .cannotReplay,
        "the runs of \(directory.path) are of generator version \(manifest.generatorVersion), and this "
          + "program's is \(generatorVersion)", remedy: "replay them with the release that made them")
    }
    return try type.init(recipe: manifest.recipe, datasets: datasets)
  }
}

extension JSONValue {
  /// A recipe with its type.
  ///
  /// - Throws: `invalidRecipe` if members are missing or of the wrong type.
  func decoded<Recipe: Decodable>(as type: Recipe.Type, task: String) throws(CorpusError) -> Recipe {
    do {
      return try CanonicalJSON.decode(type, from: CanonicalJSON.data(self, pretty: false))
    } catch {
      throw CorpusError(
        .invalidRecipe, "the recipe is none of task \(task)", remedy: "compare it with that of `corpus show`",
        cause: "\(error)")
    }
  }
}
