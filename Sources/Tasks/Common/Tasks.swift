public import Corpus
public import Datasets
import Synchronization

/// The tasks that this program can train.
public enum Tasks {
  /// A new task of this package gets a line here.
  private static let known = Mutex<[any TrainingTask.Type]>([
    CartpoleTask.self,
    MNISTTask.self,
    CIFAR10Task.self,
    BaselineTask<CartpoleTask>.self,
    BaselineTask<MNISTTask>.self,
    BaselineTask<CIFAR10Task>.self,
  ])

  public static var all: [any TrainingTask.Type] { known.withLock { $0 } }

  /// Adds a task that is not of this package, such as one of a program that uses it.
  ///
  /// - Precondition: no other task has its name.
  public static func register(_ task: any TrainingTask.Type) {
    known.withLock { known in
      precondition(
        !known.contains { $0.name == task.name && $0 != task }, "a task of this name is known")
      if !known.contains(where: { $0 == task }) { known.append(task) }
    }
  }

  /// The task, with its recipe, whose runs a corpus holds.
  ///
  /// - Parameter path: of the corpus, for errors.
  /// - Throws: `cannotReplay` for a corpus that this program did not make; what is wrong with the recipe or the
  ///   data.
  public static func task(
    of manifest: Manifest, path: String, datasets: DatasetsDirectory
  ) throws(CorpusError) -> any TrainingTask {
    let type = try requireTask(of: manifest, path: path)
    let cannot = "the runs of \(path) cannot be made again"
    guard generatorVersions.contains(manifest.generatorVersion) else {
      throw CorpusError(
        .cannotReplay,
        "\(cannot): they are of generator version \(manifest.generatorVersion), and this program makes those of "
          + "versions 1 to \(generatorVersion)", remedy: "use the release that made them")
    }
    let task = try type.init(recipe: manifest.recipe, datasets: datasets)
    guard task.architecture == manifest.architecture, task.metrics == manifest.metrics else {
      throw CorpusError(
        .cannotReplay,
        "\(cannot): they have another architecture or other metrics than task \(manifest.task)",
        remedy: "verify it without --replay, and restore its corpus.json or what else is damaged from a copy")
    }
    return task
  }

  /// The type of the task whose runs a corpus holds.
  ///
  /// - Throws: `cannotReplay` for a corpus of somebody else's task.
  @discardableResult
  public static func requireTask(
    of manifest: Manifest, path: String
  ) throws(CorpusError) -> any TrainingTask.Type {
    if let source = manifest.recipe["imported_from"] {
      throw CorpusError(
        .cannotReplay,
        "the runs of \(path) cannot be made again: they were imported (from \(source)), and their "
          + "numbers are no seeds of this program's",
        remedy: "verify it without --replay, and restore what is damaged from a copy")
    }
    guard let type = type(of: manifest.task) else {
      throw CorpusError(
        .cannotReplay,
        "the runs of \(path) cannot be made again: task \(manifest.task) is none of this "
          + "program's, as in a corpus that was imported",
        remedy: "verify it without --replay, and restore what is damaged from a copy")
    }
    return type
  }

  /// The task that a recipe file asks for.
  ///
  /// - Parameter path: the file, for errors.
  /// - Throws: `invalidRecipe` for an unknown task, for unknown members and impossible values; `cannotReplay`
  ///   for another generator version; what is wrong with the data.
  public static func task(
    of file: RecipeFile, path: String, datasets: DatasetsDirectory
  ) throws(CorpusError) -> any TrainingTask {
    guard let type = type(of: file.task) else {
      throw CorpusError(
        .invalidRecipe, "\(path) is for task \(file.task), which is none of this program's",
        remedy: "use one of \(all.map { $0.name }.joined(separator: ", ")), or the program that has it")
    }
    guard generatorVersions.contains(file.generatorVersion) else {
      throw CorpusError(
        .cannotReplay,
        "\(path) is for generator version \(file.generatorVersion), and this program makes runs of versions 1 to "
          + "\(generatorVersion)", remedy: "use the release that made it; this one would make other bits")
    }
    do throws(CorpusError) {
      return try type.init(recipe: file.recipe, datasets: datasets)
    } catch  where error.code == .invalidRecipe {
      throw CorpusError(
        .invalidRecipe, "in \(path), \(error.message)", remedy: error.remedy, cause: error.cause)
    }
  }

  private static func type(of name: String) -> (any TrainingTask.Type)? { all.first { $0.name == name } }
}

extension JSONValue {
  /// A recipe with its type, for a task to begin with.
  ///
  /// - Throws: `invalidRecipe` if members are missing, unknown or of the wrong type.
  public func decoded<Recipe: Codable>(as type: Recipe.Type, task: String) throws(CorpusError) -> Recipe {
    try decoded(as: type) { (problem) throws(CorpusError) in
      throw CorpusError(
        .invalidRecipe, "the recipe is none of task \(task): \(problem)",
        remedy: "compare it with one that `corpus recipe` prints")
    }
  }
}
