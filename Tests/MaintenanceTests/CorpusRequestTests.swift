import Platform
import Maintenance
import Tasks
import Corpus
import Datasets
import MetricIndex
import ShardStore
import TestSupport
import Testing

/// Corpora that an earlier version of the tasks began.
@Suite(.temporaryDirectories) struct CorpusRequestTests {
  private let temporary = TemporaryDirectory()
  private var path: String { temporary.path + "/corpus" }

  private func generate(_ seeds: Range<Int64>, _ request: CorpusRequest) throws -> CorpusDirectory {
    let (directory, task) = try request.open(path)
    _ = try GenerationJob(
      task: task, directory: directory, seeds: seeds, workers: 1, codec: directory.manifest.codec
    ).run(cancellation: Cancellation()) { _ in }
    return directory
  }

  private func old() throws -> CorpusRequest {
    CorpusRequest(try RepairFixture.task().asOf(version: 1), version: 1, isRecipeGiven: true)
  }

  @Test func `go on as they began, and are replayed and repaired`() throws {
    let first = try generate(0..<2, old())
    #expect(first.manifest.generatorVersion == 1)
    #expect(first.manifest.recipe["bias_initialization"] == nil)
    // The same wishes, as today's command understands them.
    let directory = try generate(0..<4, CorpusRequest(RepairFixture.task()))
    #expect(directory.manifest == first.manifest)
    let task = try Tasks.task(
      of: directory.manifest, path: directory.path, datasets: DatasetsDirectory("none"))
    for seed in 0..<4 as Range<Int64> {
      let run = try #require(try task.generate(seed: seed, isCancelled: { false }))
      #expect(run.parameters[129..<161].allSatisfy { $0 == 0 })
    }
    let replayed = try Replay(directory: directory, task: task, workers: 1)
      .run(.range(0..<4), cancellation: Cancellation()) { _, _ in }
    #expect(replayed.equal == 4 && replayed.problems.isEmpty)

    let file = directory.absolute(directory.runFile(seed: 3))
    let hash = try ShardReader(opening: file).runs[0].contentHash
    try Files.write(.init("garbage".utf8), to: file)
    let report = try RepairJob(directory: directory, workers: 1) { () throws(CorpusError) in task }
      .run(cancellation: Cancellation()) { _ in }
    #expect(report.problems.isEmpty)
    #expect(try ShardReader(opening: file).runs[0].contentHash == hash)
  }

  @Test func `take no runs of a recipe that says something else`() throws {
    _ = try generate(0..<1, old())
    let error = #expect(throws: CorpusError.self) {
      try CorpusRequest(RepairFixture.task(), isRecipeGiven: true).open(path)
    }
    #expect(error?.code == .differentRecipe)
    #expect(error?.message.contains("bias_initialization missing, not \"default\"") == true)
  }

  @Test func `do not become new ones, nor new ones old`() throws {
    _ = try generate(0..<1, CorpusRequest(RepairFixture.task()))
    let error = #expect(throws: CorpusError.self) { try old().open(path) }
    #expect(error?.code == .differentRecipe)
  }

  /// Tasks whose recipes mean what they always meant.
  @Test func `of other tasks go on under their version`() throws {
    let images = try ImageDataset.syntheticDigits(train: 200, test: 10)
    var recipe = MNISTRecipe(dataset: images.identity)
    recipe.epochs = 1
    recipe.checkpoints = 2
    let task = try MNISTTask(recipe, dataset: images)
    let (first, _) = try CorpusRequest(task, version: 1, isRecipeGiven: true).open(path)
    let (again, _) = try CorpusRequest(task).open(path)
    #expect(again.manifest == first.manifest && again.manifest.generatorVersion == 1)
    #expect(
      try Tasks.task(of: again.manifest, path: again.path, datasets: DatasetsDirectory("none")).recipe
        == task.recipe)
  }

  @Test func `of versions to come are left alone`() throws {
    let task = try RepairFixture.task()
    _ = try CorpusDirectory(
      openingOrCreating: path,
      manifest: Manifest(
        task: task.name, architecture: task.architecture, metrics: task.metrics,
        recipe: task.recipe, generatorVersion: generatorVersion + 1, split: task.split,
        codec: .delta))
    let error = #expect(throws: CorpusError.self) { try CorpusRequest(task).open(path) }
    #expect(error?.code == .differentRecipe)
    let cannot = #expect(throws: CorpusError.self) {
      try Tasks.task(
        of: CorpusDirectory(opening: path).manifest, path: path, datasets: DatasetsDirectory("none"))
    }
    #expect(cannot?.code == .cannotReplay)
  }
}
