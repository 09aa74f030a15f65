import Tasks
import CKernels
import Corpus
import Datasets
import Foundation
import ShardStore
import Testing
import VectorKernels

/// One small run of each task, as this program has always made it, and of other rules for its checkpoints: Data/golden.
/// `-v1` are the runs of older recipes, which nothing writes anew.
@Suite struct GoldenRunTests {
  static let written = [
    "cartpole", "mnist", "cifar10", "cartpole-log", "cartpole-metric", "mnist-metric", "cifar10-log",
  ]
  static let files = written + ["cartpole-v1"]

  private static func taskName(_ file: String) -> String { String(file.prefix { $0 != "-" }) }
  static let seed: Int64 = 7

  private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Data/golden").path

  private static func path(_ file: String) -> String { "\(directory)/\(file).h5" }

  private static let rewrite =
    "CORPUS_WRITE_GOLDEN=1 swift test -c release --filter GoldenRunTests writes them anew"

  /// A task of a golden recipe that computes with some kernels.
  private static func task(_ name: String, _ recipe: JSONValue, _ kernels: Kernels) throws
    -> any TrainingTask
  {
    let data = try CanonicalJSON.data(recipe, pretty: false)
    switch name {
    case "cartpole":
      return try CartpoleTask(CanonicalJSON.decode(CartpoleRecipe.self, from: data), kernels: kernels)
    case "mnist":
      let recipe = try CanonicalJSON.decode(MNISTRecipe.self, from: data)
      let digits = try ImageDataset(recipe.dataset, in: DatasetsDirectory())
      return try MNISTTask(recipe, dataset: digits, kernels: kernels)
    default:
      let recipe = try CanonicalJSON.decode(CIFAR10Recipe.self, from: data)
      let textures = try ImageDataset(recipe.dataset, in: DatasetsDirectory())
      return try CIFAR10Task(recipe, dataset: textures, kernels: kernels)
    }
  }

  @Test(arguments: files) func `a golden run comes out again on every path`(file: String) throws {
    let shard = try ShardReader(opening: Self.path(file))
    let name = shard.header.task
    #expect(name == Self.taskName(file))
    #expect(generatorVersions.contains(shard.header.generatorVersion))
    var decoder = try RunDecoder(header: shard.header)
    let stored = try decoder.run(at: 0, in: shard)
    #expect(stored.seed == Self.seed && stored.status == .ok)
    let paths = Kernels.names.filter { ck_kernels_named($0) != nil }
    #expect(paths.contains("portable"))
    for path in paths {
      let task = try Self.task(name, shard.header.recipe, Kernels(named: path))
      #expect(
        task.architecture == shard.header.architecture && task.metrics == shard.header.metrics)
      let run = try #require(try task.generate(seed: Self.seed, isCancelled: { false }))
      #expect(
        try ContentHash(of: run) == shard.runs[0].contentHash,
        """
        the bits of a \(name) run have changed on path \(path). If nobody meant that, mend it. If it is meant, \
        a member of the recipe must say it, without which recipes mean what they meant, as runs that are stored are \
        made again; generatorVersion goes up, the old file stays under another name, and \(Self.rewrite)
        """)
    }
  }

  @Test func `the run by which a machine is tried is the golden one`() throws {
    for (type, file) in [
      (CartpoleTask.self as any TrainingTask.Type, "cartpole"), (MNISTTask.self, "mnist"),
      (CIFAR10Task.self, "cifar10"),
    ] {
      let test = try #require(try type.selfTest())
      try test.run()
      let shard = try ShardReader(opening: Self.path(file))
      #expect(test.contentHash == shard.runs[0].contentHash && test.task.recipe == shard.header.recipe)
    }
  }

  /// What version 2 has changed, and nothing else: the biases of the first checkpoint.
  @Test func `new Cartpole runs begin with biases, and those of version 1 without`() throws {
    func initial(_ file: String) throws -> (header: ShardHeader, network: [Float]) {
      let shard = try ShardReader(opening: Self.path(file))
      var decoder = try RunDecoder(header: shard.header)
      return (shard.header, Array(try decoder.run(at: 0, in: shard).parameters.prefix(1250)))
    }
    let old = try initial("cartpole-v1")
    let new = try initial("cartpole")
    #expect(old.header.generatorVersion == 1 && old.header.recipe["bias_initialization"] == nil)
    #expect(new.header.generatorVersion == 2)
    #expect(new.header.recipe["bias_initialization"] == .string("default"))
    for tensor in old.header.architecture.tensors {
      let range = try #require(old.header.architecture.range(of: tensor.name))
      if tensor.name.hasSuffix("bias") {
        #expect(old.network[range].allSatisfy { $0 == 0 } && new.network[range].allSatisfy { $0 != 0 })
      } else {
        #expect(old.network[range] == new.network[range])
      }
    }
  }

  @Test(arguments: files) func `a golden shard is small`(file: String) throws {
    let attributes = try FileManager.default.attributesOfItem(atPath: Self.path(file))
    #expect(try #require(attributes[.size] as? Int) < 200_000)
  }

  /// The recipes of the golden runs: a moment's work for plain C, and every part of the training in it.
  private static func recipe(_ file: String) throws -> JSONValue {
    let rule = CheckpointRule(rawValue: String(file.dropFirst(taskName(file).count + 1)))
    switch taskName(file) {
    case "cartpole":
      var recipe = CartpoleRecipe()
      recipe.environments = 32
      recipe.iterations = 8
      recipe.checkpoints = 5
      recipe.schedule = rule
      return try CanonicalJSON.value(recipe)
    case "mnist":
      var recipe = MNISTRecipe(dataset: try ImageDataset.syntheticDigits(train: 640, test: 100).identity)
      recipe.batchSize = 64
      recipe.epochs = 2
      recipe.checkpoints = 4
      recipe.schedule = rule
      return try CanonicalJSON.value(recipe)
    default:
      var recipe = CIFAR10Recipe(dataset: try ImageDataset.syntheticTextures(train: 100, test: 20).identity)
      recipe.batchSize = 16
      recipe.epochs = 2
      recipe.checkpoints = 4
      recipe.schedule = rule
      return try CanonicalJSON.value(recipe)
    }
  }

  @Test(
    .enabled(if: ProcessInfo.processInfo.environment["CORPUS_WRITE_GOLDEN"] != nil), arguments: written)
  func `writes a golden shard`(file: String) throws {
    let task = try Self.task(Self.taskName(file), Self.recipe(file), Kernels(environment: [:]))
    let run = try #require(try task.generate(seed: Self.seed, isCancelled: { false }))
    if let old = try? ShardReader(opening: Self.path(file)), old.header.recipe == task.recipe {
      // A recipe must not come to mean other bits.
      #expect(try old.runs[0].contentHash == ContentHash(of: run), "let the recipe say what is new")
      return
    }
    // The codec that is not ours, so that a new version of the other leaves these files alone.
    let manifest = Manifest(
      task: task.name, architecture: task.architecture, metrics: task.metrics,
      recipe: task.recipe, generatorVersion: generatorVersion, split: task.split, codec: .zstd)
    let header = ShardHeader(manifest: manifest, codec: .zstd, checkpoints: run.count)
    var encoder = try RunEncoder(header: header)
    let encoded = try encoder.encode(run)
    try FileManager.default.createDirectory(atPath: Self.directory, withIntermediateDirectories: true)
    var writer = try ShardWriter(
      path: Self.path(file), header: header, counts: [run.count], bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
  }
}
