public import ShardStore
public import Tasks
public import Corpus

/// What the runs of a new corpus are made by, and how they are stored.
public struct CorpusRequest: Sendable {
  public var task: any TrainingTask
  /// One of ``generatorVersions``: that of a recipe file, or the present one.
  public var version: Int
  /// Which runs of a new corpus are held out; nil for the task's usual rule.
  public var split: SplitRule?
  /// How a new corpus is stored.
  public var codec: Codec
  /// Whether the recipe was written down, as in a recipe file, and means what it says in any corpus; otherwise it
  /// is this version's reading of some wishes, and an older corpus goes on with its own reading of them.
  public var isRecipeGiven: Bool

  public init(
    _ task: any TrainingTask, version: Int = generatorVersion, split: SplitRule? = nil,
    codec: Codec = .delta,
    isRecipeGiven: Bool = false
  ) {
    self.task = task
    self.version = version
    self.split = split
    self.codec = codec
    self.isRecipeGiven = isRecipeGiven
  }

  private var manifest: Manifest {
    Manifest(
      task: task.name, architecture: task.architecture, metrics: task.metrics,
      recipe: task.recipe, generatorVersion: version, split: split ?? task.split, codec: codec)
  }

  /// Opens the corpus that these runs belong to, or makes it where nothing is there yet.
  ///
  /// A corpus that an earlier version began goes on under that version, with the recipe that it has.
  ///
  /// - Returns: the corpus, and the task of its runs.
  /// - Throws: `differentTask`, `differentRecipe` or `alreadyExists` if the directory holds other runs, or other
  ///   things.
  public func open(_ path: String) throws(CorpusError) -> (
    directory: CorpusDirectory, task: any TrainingTask
  ) {
    var request = self
    if let found = try CorpusDirectory(ifPresentAt: path)?.manifest, found.task == task.name,
      generatorVersions.contains(found.generatorVersion)
    {
      request.version = found.generatorVersion
      if !isRecipeGiven { request.task = try task.asOf(version: found.generatorVersion) }
    }
    return (
      try CorpusDirectory(openingOrCreating: path, manifest: request.manifest), request.task
    )
  }
}
