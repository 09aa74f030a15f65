public import Corpus
public import Datasets
public import Tasks

/// A corpus as it was published: what its runs are, and how many there are (Schemas/reference.md, section 1).
public enum PublishedCorpus: String, CaseIterable, Sendable {
  case mnist, cifar10, cartpole

  /// The number of its runs.
  public var runs: Int {
    switch self {
    case .mnist: 10_728
    case .cifar10: 56_840
    case .cartpole: 50_026
    }
  }

  /// The runs of a block that makes a shard of at most about 1 GB.
  public var runsPerShard: Int { self == .cartpole ? 1_024 : 256 }

  /// The task with the published recipe.
  ///
  /// - Parameter datasets: where the images are.
  public func task(datasets: DatasetsDirectory) throws(CorpusError) -> any TrainingTask {
    switch self {
    case .mnist:
      let images = try ImageDataset.mnist(in: datasets)
      return try MNISTTask(MNISTRecipe(dataset: images.identity), dataset: images)
    case .cifar10:
      let images = try ImageDataset.cifar10(in: datasets)
      return try CIFAR10Task(CIFAR10Recipe(dataset: images.identity), dataset: images)
    case .cartpole: return try CartpoleTask()
    }
  }
}
