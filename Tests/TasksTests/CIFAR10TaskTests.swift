import Tasks
import CKernels
import Corpus
import Datasets
import Dispatch
import Synchronization
import Testing
import VectorKernels

@Suite struct CIFAR10TaskTests {
  /// 44 images: 5 batches of 8 and an incomplete one.
  static let images = Result { try ImageDataset.syntheticTextures(train: 44, test: 12) }

  /// A recipe that takes milliseconds.
  static func recipe(epochs: Int = 2, checkpoints: Int = 4) throws -> CIFAR10Recipe {
    var recipe = CIFAR10Recipe(dataset: try images.get().identity)
    recipe.epochs = epochs
    recipe.batchSize = 8
    recipe.checkpoints = checkpoints
    return recipe
  }

  private func run(_ recipe: CIFAR10Recipe, seed: Int64, kernels: String? = nil) throws -> Run {
    let table = try kernels.map(Kernels.init(named:)) ?? Kernels(environment: [:])
    let task = try CIFAR10Task(recipe, dataset: try Self.images.get(), kernels: table)
    return try #require(try task.generate(seed: seed, isCancelled: { false }))
  }

  @Test func `makes a run`() throws {
    let recipe = try Self.recipe()
    let task = try CIFAR10Task(recipe, dataset: try Self.images.get())
    let run = try run(recipe, seed: 7)
    #expect(task.name == "cifar10")
    #expect(task.architecture.parameterCount == 5370)
    #expect(task.metrics == [.trainLoss, .trainError, .testLoss, .testError])
    #expect(run.count == task.checkpointsPerRun)
    #expect(run.parameterCount == 5370)
    #expect(run.seed == 7)
    #expect(run.status == .ok)
    #expect(run.iterations.first == 0 && run.iterations.last == 10)
    for metric in run.metrics { #expect(metric.count == 4 && metric.allSatisfy { $0.isFinite && $0 >= 0 }) }
    // Errors are percentages of the images of a batch, and of the test images.
    #expect(run.metrics[1].allSatisfy { ($0 / 100 * 8).rounded() == $0 / 100 * 8 })
    #expect(run.metrics[3].allSatisfy { abs(($0 / 100 * 12).rounded() - $0 / 100 * 12) < 1e-4 })
  }

  @Test func `every path makes the same run`() throws {
    let paths = Kernels.names.filter { ck_kernels_named($0) != nil }
    let recipe = try Self.recipe(epochs: 1, checkpoints: 3)
    let runs = try paths.map { try run(recipe, seed: 3, kernels: $0) }
    for other in runs.dropFirst() { #expect(other == runs[0]) }
  }

  /// Runs on several threads at once are what they are alone.
  @Test func `threads do not interact`() throws {
    let recipe = try Self.recipe()
    let alone = try (0..<4).map { try run(recipe, seed: $0) }
    let together = Mutex<[Int64: Run]>([:])
    let task = try CIFAR10Task(
      recipe, dataset: try Self.images.get(), kernels: Kernels(environment: [:]))
    DispatchQueue.concurrentPerform(iterations: 4) { i in
      let run = try? task.generate(seed: Int64(i), isCancelled: { false })
      together.withLock { $0[Int64(i)] = run }
    }
    let runs = together.withLock { $0 }
    for run in alone { #expect(runs[run.seed] == run) }
    #expect(Set(alone.map(\.parameters)).count == 4)
  }

  @Test func `seeds are any integer`() throws {
    let recipe = try Self.recipe(epochs: 1, checkpoints: 2)
    let runs = try [Int64.min, -1, 0, 1, 1 << 32, .max].map { try run(recipe, seed: $0) }
    #expect(Set(runs.map(\.parameters)).count == runs.count)
  }

  @Test func `cancels`() throws {
    let task = try CIFAR10Task(try Self.recipe(), dataset: try Self.images.get())
    #expect(try task.generate(seed: 0, isCancelled: { true }) == nil)
    let polls = Atomic(0)
    let run = try task.generate(seed: 0, isCancelled: { polls.add(1, ordering: .relaxed).newValue > 5 })
    #expect(run == nil)
    #expect(polls.load(ordering: .relaxed) == 6)
  }

  /// The checkpoint does not depend on which others are taken.
  @Test func `checkpoints are states of one training`() throws {
    let few = try run(try Self.recipe(checkpoints: 2), seed: 5)
    let all = try run(try Self.recipe(checkpoints: 11), seed: 5)
    #expect(all.iterations == Array(0...10))
    #expect(few.parameters == Array(all.parameters.prefix(5370)) + Array(all.parameters.suffix(5370)))
    for (some, every) in zip(few.metrics, all.metrics) { #expect(some == [every[0], every[10]]) }
    // The first batch goes through the initial network, for iteration 0 and for the first step.
    #expect(all.metrics[0][0] == all.metrics[0][1])
    #expect(all.metrics[0][1] != all.metrics[0][2])
  }

  @Test func `the initial network is PyTorch's`() throws {
    let run = try run(try Self.recipe(epochs: 1, checkpoints: 2), seed: 9)
    let architecture = try CIFAR10Task(try Self.recipe(), dataset: try Self.images.get()).architecture
    let inputs = ["conv1.weight": 27, "conv2.weight": 144, "fc.weight": 32, "fc.bias": 32]
    for (name, inputs) in inputs {
      let bound = 1 / Float(inputs).squareRoot()
      let tensor = run.parameters[try #require(architecture.range(of: name))]
      #expect(tensor.allSatisfy { $0.magnitude <= bound })
      #expect(try #require(tensor.map(\.magnitude).max()) > 0.75 * bound)
      // A uniform number's variance is a third of its bound's square.
      let variance = tensor.reduce(0) { $0 + $1 * $1 } / Float(tensor.count)
      if tensor.count > 100 { #expect(abs(variance * 3 / (bound * bound) - 1) < 0.2) }
    }
  }

  /// Each epoch sees each image at most once, in an order and in ways of its own.
  @Test func `batches are random`() throws {
    let images = try ImageDataset.syntheticTextures(train: 1000, test: 1)
    var recipe = CIFAR10Recipe(dataset: images.identity)
    recipe.batchSize = 96
    recipe.flipProbability = 0.25
    var trainer = CIFAR10Trainer(
      recipe: recipe, images: CIFAR10Images(images), kernels: try Kernels(environment: [:]), seed: 1)
    var epochs: [[[UInt32]]] = []
    for _ in 0..<2 {
      var seen: [[UInt32]] = []
      for _ in 0..<recipe.stepsPerEpoch {
        trainer.update()
        let batch = trainer.network.views
        seen += stride(from: 0, to: batch.count, by: 4).map { Array(batch[$0..<($0 + 4)]) }
      }
      #expect(seen.count == 960)
      #expect(Set(seen.map { $0[0] }).count == 960)
      #expect(seen.allSatisfy { $0[0] < 1000 && $0[1] < 2 })
      #expect(abs(seen.filter { $0[1] == 1 }.count - 240) < 60)
      for coordinate in 2...3 {
        for offset in 0..<8 as Range<UInt32> {
          #expect(abs(seen.filter { $0[coordinate] == offset }.count - 120) < 50)
        }
      }
      epochs.append(seen)
    }
    #expect(epochs[0] != epochs[1])
    #expect(epochs[0].map { $0[0] } != epochs[1].map { $0[0] })
  }

  @Test func `learns`() throws {
    let images = try ImageDataset.syntheticTextures(train: 1024, test: 256)
    var recipe = CIFAR10Recipe(dataset: images.identity)
    recipe.epochs = 8
    recipe.batchSize = 32
    recipe.checkpoints = 2
    // Mirrored stripes run in another direction, which is another class.
    recipe.flipProbability = 0
    let task = try CIFAR10Task(recipe, dataset: images)
    let run = try #require(try task.generate(seed: 1, isCancelled: { false }))
    #expect(abs(run.metrics[2][0] - 2.3) < 0.2 && run.metrics[3][0] > 75)
    #expect(run.metrics[2][1] < 1.2 && run.metrics[3][1] < 40)
  }
}

@Suite struct CIFAR10RecipeTests {
  @Test func `defaults are the published numbers`() throws {
    let recipe = CIFAR10Recipe(
      dataset: DatasetIdentity(
        name: "cifar10", sha256: String(repeating: "0", count: 64), trainImages: 50_000, testImages: 10_000))
    try recipe.validate()
    #expect(recipe.stepsPerEpoch == 390 && recipe.iterations == 19_500)
    let json = try CanonicalJSON.value(recipe)
    #expect(json["batch_size"] == .number(128))
    #expect(json["learning_rate"] == .number(0.1))
    #expect(json["dataset"]?["train_images"] == .number(50_000))
    guard case .object(let members) = json else { return }
    #expect(members.keys.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" } })
  }

  @Test func `survives JSON`() throws {
    var recipe = try CIFAR10TaskTests.recipe()
    recipe.flipProbability = 0.25
    recipe.pixelMeans = [0, 1, 2]
    let data = try CanonicalJSON.data(recipe, pretty: true)
    #expect(try CanonicalJSON.decode(CIFAR10Recipe.self, from: data) == recipe)
  }

  static let impossible: [(String, @Sendable (inout CIFAR10Recipe) -> Void)] = [
    ("epochs", { $0.epochs = 0 }),
    ("epochs", { $0.epochs = 100_001 }),
    ("batch_size", { $0.batchSize = 0 }),
    ("batch_size", { $0.batchSize = 45 }),
    ("checkpoints", { $0.checkpoints = 1 }),
    ("checkpoints", { $0.checkpoints = 12 }),
    ("learning_rate", { $0.learningRate = 0 }),
    ("learning_rate", { $0.learningRate = .nan }),
    ("momentum", { $0.momentum = 1 }),
    ("weight_decay", { $0.weightDecay = -1 }),
    ("pixel_means", { $0.pixelMeans = [1, 2] }),
    ("pixel_means", { $0.pixelMeans = [1, 2, .infinity] }),
    ("pixel_deviations", { $0.pixelDeviations = [] }),
    ("pixel_deviations", { $0.pixelDeviations = [1, 0, 1] }),
    ("flip_probability", { $0.flipProbability = 1.5 }),
  ]

  @Test(arguments: impossible.indices) func `rejects what cannot be`(index: Int) throws {
    let (name, change) = Self.impossible[index]
    var recipe = try CIFAR10TaskTests.recipe()
    change(&recipe)
    let error = #expect(throws: CorpusError.self) { try recipe.validate() }
    #expect(error?.code == .invalidRecipe)
    #expect(error?.message.contains("`\(name)`") == true)
  }

  @Test func `other images are refused`() throws {
    let recipe = try CIFAR10TaskTests.recipe()
    let others = try ImageDataset.syntheticTextures(train: 45, test: 12)
    let error = #expect(throws: CorpusError.self) { try CIFAR10Task(recipe, dataset: others) }
    #expect(error?.code == .differentDataset)
    let digits = try ImageDataset.syntheticDigits(train: 200, test: 1)
    var forDigits = CIFAR10Recipe(dataset: digits.identity)
    forDigits.checkpoints = 2
    let shape = #expect(throws: CorpusError.self) { try CIFAR10Task(forDigits, dataset: digits) }
    #expect(shape?.code == .malformedDataset)
  }
}
