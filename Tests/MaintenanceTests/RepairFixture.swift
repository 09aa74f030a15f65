import Platform
import Maintenance
import Tasks
import Corpus
import Datasets
import Foundation
import MetricIndex
import ShardStore
import Synchronization
import TestSupport

/// A corpus of six runs of a few milliseconds: 0 to 3 sealed in a shard, 4 and 5 in files of their own.
struct RepairFixture {
  static let shard = "shards/000000-000003.h5"
  let temporary = TemporaryDirectory()
  let corpus: CorpusDirectory
  /// The hashes that the runs have when all is well.
  let hashes: [Int64: ContentHash]

  static func task() throws -> CartpoleTask {
    var recipe = CartpoleRecipe()
    recipe.environments = 16
    recipe.iterations = 3
    recipe.rolloutSteps = 4
    recipe.epochs = 1
    recipe.checkpoints = 3
    return try CartpoleTask(recipe)
  }

  init(taskName: String? = nil) throws {
    let task = try Self.task()
    let corpus = try CorpusDirectory(
      openingOrCreating: temporary.path + "/corpus",
      manifest: Manifest(
        task: taskName ?? task.name, architecture: task.architecture, metrics: task.metrics,
        recipe: task.recipe, generatorVersion: generatorVersion, split: task.split, codec: .delta))
    let index = try MetricIndex(openingOrCreating: corpus)
    func make(_ seeds: Range<Int64>) throws {
      _ = try GenerationJob(task: task, directory: corpus, seeds: seeds, workers: 1, codec: .delta)
        .run(cancellation: Cancellation()) { _ in }
    }
    try make(0..<4)
    _ = try Compaction(directory: corpus).run { (file) throws(CorpusError) in try index.ingest([file]) }
    try make(4..<6)
    _ = try index.synchronize()
    self.corpus = corpus
    hashes = try Self.hashes(corpus)
  }

  // MARK: Harm

  func path(_ file: String) -> URL { URL(fileURLWithPath: corpus.absolute(file)) }

  func bytes(_ file: String) throws -> Data { try Data(contentsOf: path(file)) }

  func write(_ bytes: Data, to file: String) throws { try bytes.write(to: path(file)) }

  func remove(_ file: String) throws { try FileManager.default.removeItem(at: path(file)) }

  func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: corpus.absolute(file)) }

  /// Flips a bit of a run's first chunk.
  func flip(run seed: Int64, in file: String) throws {
    let shard = try ShardReader(opening: corpus.absolute(file))
    guard let run = shard.runs.first(where: { $0.seed == seed }) else { return }
    var bytes = try bytes(file)
    bytes[Int(run.chunks[0].offset) + run.chunks[0].bytes / 2] ^= 4
    try write(bytes, to: file)
  }

  /// A run stored by somebody else: whole, with a true hash, and not what its seed makes.
  func forge(_ seed: Int64) throws {
    let file = corpus.runFile(seed: seed)
    let shard = try ShardReader(opening: corpus.absolute(file))
    var decoder = try RunDecoder(header: shard.header)
    let run = try decoder.run(at: 0, in: shard)
    let forged = Run(
      seed: seed, iterations: run.iterations, metrics: run.metrics, parameters: run.parameters.map { $0 + 1 })
    var encoder = try RunEncoder(header: shard.header)
    let encoded = try encoder.encode(forged)
    var writer = try ShardWriter(
      path: shard.path, header: shard.header, counts: [run.count], bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    try MetricIndex(openingOrCreating: corpus).ingest([file])
  }

  // MARK: Repair

  /// - Parameter made: counts the runs that are made again.
  func repair(
    workers: Int = 1, cancellation: Cancellation = Cancellation(), made: Counter = Counter(),
    report: @escaping @Sendable (RepairEvent) -> Void = { _ in }
  ) throws -> RepairReport {
    let corpus = corpus
    return try RepairJob(directory: corpus, workers: workers) { () throws(CorpusError) in
      CountingTask(
        task: try Tasks.task(
          of: corpus.manifest, path: corpus.path, datasets: DatasetsDirectory("none")), made: made)
    }.run(cancellation: cancellation, report: report)
  }

  /// What `corpus verify` finds wrong.
  func problems() throws -> [CorpusError] {
    try CorpusVerification(corpus, workers: 1).run(cancellation: Cancellation()) { _, _ in }.problems
  }

  /// Whether every run is what it was, and nothing else is left in the corpus.
  func isWhole(keeping kept: [String] = []) throws -> Bool {
    let damaged = try? FileManager.default.contentsOfDirectory(atPath: corpus.damagedPath).sorted()
    return try problems().isEmpty && Self.hashes(corpus) == hashes && (damaged ?? []) == kept
      && !exists("runs/.repair") && !exists("shards/.repair")
  }

  static func hashes(_ corpus: CorpusDirectory) throws -> [Int64: ContentHash] {
    try IndexReader(opening: corpus).indexedRuns().mapValues(\.contentHash)
  }
}

/// A number that threads count up.
final class Counter: Sendable {
  private let count = Atomic(0)
  var value: Int { count.load(ordering: .relaxed) }
  func increment() { count.add(1, ordering: .relaxed) }
}

/// Another task, whose runs are counted.
struct CountingTask: TrainingTask {
  static let name = "counting"
  let task: any TrainingTask
  let made: Counter

  init(task: any TrainingTask, made: Counter) {
    self.task = task
    self.made = made
  }

  init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    throw CorpusError(.invalidRecipe, "this is for tests", remedy: "use another")
  }

  var architecture: Architecture { task.architecture }
  var metrics: [Metric] { task.metrics }
  var recipe: JSONValue { task.recipe }
  var checkpointsPerRun: Int { task.checkpointsPerRun }

  func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    made.increment()
    return try task.generate(seed: seed, isCancelled: isCancelled)
  }
}
