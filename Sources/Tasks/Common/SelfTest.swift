public import Corpus
import Datasets

/// A small run whose contents are known: a machine that makes another one computes wrongly.
public struct SelfTest: Sendable {
  package let task: any TrainingTask
  package let seed: Int64
  package let contentHash: ContentHash

  /// - Throws: `differentRun` on a machine that is not to be trusted.
  public func run() throws(CorpusError) {
    guard let run = try task.storedRun(seed: seed, isCancelled: { false }),
      try ContentHash(of: run) == contentHash
    else {
      throw CorpusError(
        .differentRun,
        "this machine computes wrongly: a run of the task \(task.name) whose contents are known comes out otherwise",
        remedy: "work on another machine, and have the memory and the processor of this one looked at")
    }
  }
}

extension CartpoleTask {
  public static func selfTest() throws(CorpusError) -> SelfTest? {
    var recipe = CartpoleRecipe()
    (recipe.environments, recipe.iterations, recipe.checkpoints) = (32, 8, 5)
    return try SelfTest(
      CartpoleTask(recipe), "4249537bd83be03883b35a952ebf21c77e05babb57e636d0a36f60fa44068310")
  }
}

extension MNISTTask {
  public static func selfTest() throws(CorpusError) -> SelfTest? {
    let digits = try ImageDataset.syntheticDigits(train: 640, test: 100)
    var recipe = MNISTRecipe(dataset: digits.identity)
    (recipe.epochs, recipe.batchSize, recipe.checkpoints) = (2, 64, 4)
    return try SelfTest(
      MNISTTask(recipe, dataset: digits), "5b195bb6f0d837f1442ce945bd3fc45bfda5dcf75b5c928cfc18b3e9435d329e")
  }
}

extension CIFAR10Task {
  public static func selfTest() throws(CorpusError) -> SelfTest? {
    let textures = try ImageDataset.syntheticTextures(train: 100, test: 20)
    var recipe = CIFAR10Recipe(dataset: textures.identity)
    (recipe.epochs, recipe.batchSize, recipe.checkpoints) = (2, 16, 4)
    return try SelfTest(
      CIFAR10Task(recipe, dataset: textures),
      "d50e00f2ff035e7701b730dfef137a5e0d26d9edb204535c4da365a9cbc67028")
  }
}

extension SelfTest {
  /// - Parameter contentHash: of the golden run in `Data/golden`, which has the same recipe and seed.
  fileprivate init(_ task: any TrainingTask, _ contentHash: String) throws(CorpusError) {
    guard let contentHash = ContentHash(contentHash) else { preconditionFailure("64 digits") }
    self.init(task: task, seed: 7, contentHash: contentHash)
  }
}
