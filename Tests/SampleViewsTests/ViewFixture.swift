import CZlib
import Corpus
import Datasets
import Evaluation
import Foundation
import GenerativeModel
import Maintenance
import ModelTraining
import Platform
import SampleViews
import ShardStore
import Tasks
import TestSupport
import Testing

/// A model of a few updates on a few short runs: what it writes is nothing good, but its own.
struct ViewFixture {
  let folder = TemporaryDirectory()
  let description: ModelDescription
  private let corpus: CorpusDirectory

  init(_ task: any TrainingTask, _ change: (inout GPTConfiguration) -> Void = { _ in }) throws {
    let manifest = Manifest(
      task: task.name, architecture: task.architecture, metrics: task.metrics, recipe: task.recipe,
      generatorVersion: generatorVersion, split: SplitRule(testFraction: 0.3, testLimit: 2), codec: .raw)
    corpus = try CorpusDirectory(openingOrCreating: folder.path + "/corpus", manifest: manifest)
    let job = GenerationJob(task: task, directory: corpus, seeds: 0..<4, workers: 2, codec: .raw)
    _ = try job.run(cancellation: Cancellation()) { _ in }
    var model = ModelConfiguration(width: 16, layers: 1, heads: 2)
    model.tokens = .units
    model.diffusionSteps = 20
    var training = TrainingConfiguration(batch: 8, learningRate: 1e-3, warmup: 2, steps: 4)
    training.augmentation = "canonical"
    training.evaluateEvery = 0
    var configuration = GPTConfiguration(model: model, training: training)
    change(&configuration)
    try TrainingJob(
      Trainer(
        configuration, on: corpus, metric: task.metrics.last?.name,
        into: ModelDirectory(folder.path + "/model"), workers: 1)
    ).run()
    description = try ModelDirectory(folder.path + "/model").description()
  }

  static func digits() throws -> ViewFixture {
    let digits = try ImageDataset.syntheticDigits(train: 256, test: 100)
    var recipe = MNISTRecipe(dataset: digits.identity)
    (recipe.epochs, recipe.checkpoints) = (3, 4)
    return try ViewFixture(MNISTTask(recipe, dataset: digits))
  }

  static func cartpole() throws -> ViewFixture {
    var recipe = CartpoleRecipe()
    (recipe.environments, recipe.iterations, recipe.checkpoints, recipe.evaluationEpisodes) = (64, 6, 4, 32)
    return try ViewFixture(CartpoleTask(recipe))
  }

  var sampling: SamplingOptions { SamplingOptions(steps: 3, seed: 7) }

  func sampler() throws -> Sampler { try Sampler(opening: ModelDirectory(folder.path + "/model")) }

  func viewer(workers: Int = 2) throws -> SampleViewer {
    SampleViewer(
      try sampler(),
      measurer: try TaskMeasurer(of: description, datasets: DatasetsDirectory(nil), workers: workers),
      reader: try StartReader(corpus, for: description), sampling: sampling, workers: workers)
  }

  func evaluator() throws -> any Evaluator {
    try Tasks.evaluator(
      task: description.task, recipe: description.recipe, datasets: DatasetsDirectory(nil))
  }
}

/// The bytes that packed numbers deflate to.
func inflated(_ base64: String, count: Int) throws -> [UInt8] {
  let packed = try #require(Data(base64Encoded: base64))
  var (bytes, length) = ([UInt8](repeating: 0, count: count), UInt(count))
  let code = uncompress(&bytes, &length, [UInt8](packed), UInt(packed.count))
  guard code == Z_OK, length == count else { throw CocoaError(.fileReadCorruptFile) }
  return bytes
}
