import Tasks
import CKernels
import Corpus
import Datasets
import Foundation
import Synchronization
import Testing
import VectorKernels

@Suite struct MNISTTaskTests {
  /// 640 training images: 10 batches of 64 an epoch.
  private static let digits = try? ImageDataset.syntheticDigits(train: 640, test: 100)

  private func recipe(epochs: Int = 3, checkpoints: Int = 6) throws -> MNISTRecipe {
    var recipe = MNISTRecipe(dataset: try #require(Self.digits).identity)
    recipe.batchSize = 64
    recipe.epochs = epochs
    recipe.checkpoints = checkpoints
    return recipe
  }

  private func run(_ recipe: MNISTRecipe, seed: Int64, kernels: String? = nil) throws -> Run {
    let table = try kernels.map(Kernels.init(named:)) ?? Kernels(environment: [:])
    let task = try MNISTTask(recipe, dataset: #require(Self.digits), kernels: table)
    return try #require(try task.generate(seed: seed, isCancelled: { false }))
  }

  @Test func `makes a run`() throws {
    let task = try MNISTTask(recipe(), dataset: #require(Self.digits))
    let run = try run(recipe(), seed: 7)
    #expect(task.name == "mnist" && task.architecture.parameterCount == 7960)
    #expect(task.metrics.map(\.name) == ["train_loss", "train_error", "test_loss", "test_error"])
    #expect(task.recipe["dataset"]?["name"] == .string("synthetic-digits"))
    #expect(run.count == task.checkpointsPerRun && run.parameterCount == 7960)
    #expect(run.seed == 7 && run.status == .ok)
    #expect(run.iterations.first == 0 && run.iterations.last == 30)
    #expect(run.metrics.count == 4 && run.metrics.joined().allSatisfy { $0.isFinite && $0 >= 0 })
  }

  @Test func `every path makes the same run`() throws {
    let paths = Kernels.names.filter { ck_kernels_named($0) != nil }
    let runs = try paths.map { try run(recipe(), seed: 3, kernels: $0) }
    for other in runs.dropFirst() { #expect(other == runs[0]) }
  }

  @Test func `threads do not interact`() throws {
    let alone = try (0..<4).map { try run(recipe(), seed: $0) }
    let together = Mutex<[Int64: Run]>([:])
    let task = try MNISTTask(recipe(), dataset: #require(Self.digits))
    DispatchQueue.concurrentPerform(iterations: 4) { i in
      let run = try? task.generate(seed: Int64(i), isCancelled: { false })
      together.withLock { $0[Int64(i)] = run }
    }
    let runs = together.withLock { $0 }
    for run in alone { #expect(runs[run.seed] == run) }
    #expect(Set(alone.map(\.parameters)).count == 4)
  }

  @Test func `cancels`() throws {
    let task = try MNISTTask(recipe(), dataset: #require(Self.digits))
    #expect(try task.generate(seed: 0, isCancelled: { true }) == nil)
  }

  @Test func `checkpoints are states of one training`() throws {
    let few = try run(recipe(checkpoints: 2), seed: 5)
    let all = try run(recipe(checkpoints: 31), seed: 5)
    #expect(all.iterations == Array(0...30))
    #expect(few.parameters == Array(all.parameters.prefix(7960)) + Array(all.parameters.suffix(7960)))
    for (a, b) in zip(few.metrics, all.metrics) { #expect(a == [b[0], b[30]]) }
    // The first batch is judged before the first step, for the initial network as for the next.
    #expect(all.metrics[0][0] == all.metrics[0][1] && all.metrics[2][0] != all.metrics[2][1])
  }

  @Test func `the initial network is PyTorch's`() throws {
    let run = try run(recipe(checkpoints: 2), seed: 9)
    for (range, limit) in [(0..<7850, 1.0 / 28), (7850..<7960, 1 / 10.0.squareRoot())] {
      let magnitudes = run.parameters[range].map { Double($0.magnitude) }
      #expect(magnitudes.allSatisfy { $0 <= limit * 1.000001 } && (magnitudes.max() ?? 0) > 0.97 * limit)
      let mean = magnitudes.reduce(0, +) / Double(range.count)
      #expect(abs(mean / limit - 0.5) < 0.1)
    }
  }

  @Test func `learns`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 4096, test: 500)
    var recipe = MNISTRecipe(dataset: digits.identity)
    recipe.epochs = 10
    recipe.checkpoints = 2
    let run = try #require(
      try MNISTTask(recipe, dataset: digits).generate(seed: 1, isCancelled: { false }))
    #expect(run.metrics[3][0] > 70)
    #expect(run.metrics[3][1] < 30)
    #expect(run.metrics[2][1] < 1)
  }

  /// Every epoch sees every image once.
  @Test func `every epoch has an order of its own`() throws {
    let digits = try #require(Self.digits)
    var trainer = MNISTTrainer(
      recipe: try recipe(), images: MNISTImages(digits), kernels: try Kernels(environment: [:]), seed: 2)
    var epochs: [[UInt32]] = []
    for _ in 0..<3 {
      var seen: [UInt32] = []
      for _ in 0..<10 {
        trainer.update()
        seen += trainer.batch
      }
      #expect(seen.sorted() == Array(0..<640))
      epochs.append(seen)
    }
    #expect(Set(epochs).count == 3)
    // By Fisher and Yates, from the last position down, with the numbers of the epoch's stream.
    var random = PhiloxGenerator(seed: 2, stream: 3)
    var order = [UInt32](0..<640)
    for last in stride(from: 639, to: 0, by: -1) {
      order.swapAt(last, Int(random.integer(below: UInt32(last + 1))))
    }
    #expect(epochs[1] == order)
  }

  @Test func `refuses other images`() throws {
    let others = try ImageDataset.syntheticDigits(train: 640, test: 99)
    var error = #expect(throws: CorpusError.self) { try MNISTTask(recipe(), dataset: others) }
    #expect(error?.code == .differentDataset)
    let textures = try ImageDataset.syntheticTextures(train: 640, test: 1)
    error = #expect(throws: CorpusError.self) {
      var recipe = MNISTRecipe(dataset: textures.identity)
      recipe.checkpoints = 2
      return try MNISTTask(recipe, dataset: textures)
    }
    #expect(error?.code == .malformedDataset)
    let few = try ImageDataset.syntheticDigits(train: 100, test: 10)
    error = #expect(throws: CorpusError.self) {
      try MNISTTask(MNISTRecipe(dataset: few.identity), dataset: few)
    }
    #expect(error?.code == .invalidRecipe && error?.remedy.contains("training images, 100") == true)
  }
}

@Suite struct MNISTRecipeTests {
  static let published = MNISTRecipe(
    dataset: DatasetIdentity(name: "mnist", sha256: "00", trainImages: 60_000, testImages: 10_000))

  @Test func `the published recipe is valid`() throws {
    try Self.published.validate()
    #expect(Self.published.stepsPerEpoch == 468 && Self.published.iterations == 11_700)
  }

  @Test func `survives JSON in snake case`() throws {
    var recipe = Self.published
    recipe.learningRate = 1e-3
    let data = try CanonicalJSON.data(recipe, pretty: true)
    #expect(try CanonicalJSON.decode(MNISTRecipe.self, from: data) == recipe)
    let json = try CanonicalJSON.value(recipe)
    #expect(json["batch_size"] == .number(128) && json["weight_decay"] == .number(5e-4))
    #expect(json["dataset"]?["train_images"] == .number(60_000))
  }

  static let impossible: [(String, @Sendable (inout MNISTRecipe) -> Void)] = [
    ("epochs", { $0.epochs = 0 }),
    (
      "epochs",
      {
        $0.epochs = 100_000; $0.dataset.trainImages = 10_000_000
      }
    ),
    ("batch_size", { $0.batchSize = 0 }),
    ("batch_size", { $0.batchSize = 100 }),
    ("batch_size", { $0.batchSize = 2048 }),
    ("batch_size", { $0.dataset.trainImages = 127 }),
    ("checkpoints", { $0.checkpoints = 1 }),
    ("checkpoints", { $0.checkpoints = 11_702 }),
    ("learning_rate", { $0.learningRate = 0 }),
    ("learning_rate", { $0.learningRate = .nan }),
    ("momentum", { $0.momentum = 1 }),
    ("momentum", { $0.momentum = -0.1 }),
    ("weight_decay", { $0.weightDecay = .infinity }),
    ("pixel_mean", { $0.pixelMean = .nan }),
    ("pixel_deviation", { $0.pixelDeviation = 0 }),
  ]

  @Test(arguments: impossible.indices) func `rejects what cannot be`(index: Int) {
    let (name, change) = Self.impossible[index]
    var recipe = Self.published
    change(&recipe)
    let error = #expect(throws: CorpusError.self) { try recipe.validate() }
    #expect(error?.code == .invalidRecipe)
    #expect(error?.message.contains("`\(name)`") == true)
  }
}
