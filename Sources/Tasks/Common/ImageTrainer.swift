internal import CKernels
package import Corpus
package import Datasets
package import VectorKernels

/// The mean cross entropy of some images, and the percentage of them that is classified wrongly.
package struct Outcome: Hashable, Sendable {
  package let loss: Float
  package let error: Float

  init(_ outcome: ck_outcome) { (loss, error) = (outcome.loss, outcome.error) }
}

/// Images in the form in which the kernels of a task read them.
package protocol PackedImages: Sendable {
  init(_ images: ImageDataset.Part)
}

/// The images of a data set, shared by all runs.
package struct TrainAndTest<Images: PackedImages>: Sendable {
  let train: Images
  let test: Images

  package init(_ dataset: ImageDataset) {
    train = Images(dataset.train)
    test = Images(dataset.test)
  }
}

/// A classifier of images with its optimizer: what a task gives to ``ImageTrainer``.
package protocol ImageNetwork: ~Copyable {
  associatedtype Recipe: ImageRecipe
  associatedtype Images: PackedImages

  static var architecture: Architecture { get }
  /// The streams of random numbers that an epoch takes: the first for the order of its images, others for their
  /// augmentation.
  static var streamsPerEpoch: UInt64 { get }

  /// - Parameters:
  ///   - images: those that the recipe names.
  ///   - parameters: (P).
  init(recipe: Recipe, images: TrainAndTest<Images>, kernels: Kernels, parameters: [Float])

  /// The present parameter vector: (P).
  var parameters: [Float] { get }

  /// Sets the rate of an epoch's steps, and draws how its images are augmented.
  ///
  /// - Parameter stream: the first of the epoch's ``streamsPerEpoch``.
  mutating func beginEpoch(learningRate: Float, seed: UInt64, stream: UInt64)

  /// One optimizer step on a batch, and the batch's outcome before it.
  ///
  /// - Parameters:
  ///   - order: the indices of the epoch's images.
  ///   - range: the batch's part of it.
  mutating func update(order: UnsafePointer<UInt32>, range: Range<Int>) -> Outcome

  /// The gradient of a batch, (P), and the batch's outcome; no step is taken.
  mutating func gradient(
    order: UnsafePointer<UInt32>, range: Range<Int>, into gradient: UnsafeMutablePointer<Float>
  ) -> Outcome

  /// Puts other parameters, (P), in place of the present ones; what a step remembers of those before is lost.
  mutating func replace(parameters: UnsafePointer<Float>)

  /// 1 for each test image that is classified wrongly, 0 for the others.
  mutating func mistakes() -> [Float]

  /// The outcome of all test images.
  mutating func test() -> Outcome
}

extension ImageNetwork where Self: ~Copyable {
  /// The bytes that a kernel writes, as floats.
  func mistakes(of count: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) -> [Float] {
    let bytes = AlignedBuffer<UInt8>(count: count)
    write(bytes.base)
    return (0..<count).map { Float(bytes.base[$0]) }
  }
}

/// One run of stochastic gradient descent on images as it goes.
package struct ImageTrainer<Network: ImageNetwork & ~Copyable>: ~Copyable {
  package var network: Network
  private let recipe: Network.Recipe
  private let seed: UInt64
  private let order: ImageOrder
  /// The rate of each epoch.
  private let learningRate: (Int) -> Double
  /// The optimizer in place of the recipe's.
  private let adam: Adam?
  /// The optimizer steps done.
  package private(set) var iteration = 0

  package init(recipe: Network.Recipe, images: TrainAndTest<Network.Images>, kernels: Kernels, seed: UInt64) {
    self.recipe = recipe
    self.seed = seed
    network = Network(
      recipe: recipe, images: images, kernels: kernels,
      parameters: initialParameters(of: Network.architecture, kernels: kernels, seed: seed))
    order = ImageOrder(count: recipe.dataset.trainImages, kernels: kernels, seed: seed)
    let decay = CosineDecay(base: recipe.learningRate, epochs: recipe.epochs)
    learningRate = { decay.rate(epoch: $0) }
    adam = nil
  }

  /// Another optimizer's training from the same network on the same batches.
  ///
  /// - Parameter recipe: with the optimizer's momentum and weight decay.
  init(
    recipe: Network.Recipe, images: TrainAndTest<Network.Images>, kernels: Kernels, seed: UInt64,
    optimizer: OptimizerSettings
  ) {
    self.recipe = recipe
    self.seed = seed
    let parameters = initialParameters(of: Network.architecture, kernels: kernels, seed: seed)
    network = Network(recipe: recipe, images: images, kernels: kernels, parameters: parameters)
    order = ImageOrder(count: recipe.dataset.trainImages, kernels: kernels, seed: seed)
    let rate = optimizer.learningRate
    learningRate = { _ in rate }
    adam = optimizer.name == .adam ? Adam(parameters, kernels: kernels, learningRate: rate) : nil
  }

  /// The part of the epoch's order that the step after `iteration` others is taken on.
  private func range(of iteration: Int) -> Range<Int> {
    let start = iteration % recipe.stepsPerEpoch * recipe.batchSize
    return start..<(start + recipe.batchSize)
  }

  /// The indices of the images that the last step was taken on.
  package var batch: [UInt32] { range(of: iteration - 1).map { order.images.base[$0] } }

  /// One optimizer step; returns the outcome of its batch before it.
  @discardableResult package mutating func update() -> Outcome {
    if iteration.isMultiple(of: recipe.stepsPerEpoch) {
      let epoch = iteration / recipe.stepsPerEpoch
      let stream = ImageStream.firstEpoch + Network.streamsPerEpoch * UInt64(epoch)
      order.shuffle(stream: stream)
      network.beginEpoch(learningRate: Float(learningRate(epoch)), seed: seed, stream: stream)
    }
    defer { iteration += 1 }
    guard let adam else { return network.update(order: order.images.base, range: range(of: iteration)) }
    let outcome = network.gradient(
      order: order.images.base, range: range(of: iteration), into: adam.gradient.base)
    network.replace(parameters: adam.step())
    return outcome
  }
}

extension ImageTrainer where Network: ~Copyable {
  /// The networks before some of the next updates, and their outcomes on all test images; nil on cancellation.
  ///
  /// - Parameter updates: ascending.
  consuming func checkpoints(
    at updates: [Int], isCancelled: @Sendable () -> Bool
  ) -> (metrics: [[Float]], parameters: [Float])? {
    var trainer = self
    var parameters: [Float] = []
    var test: [Outcome] = []
    for target in updates {
      while trainer.iteration < target {
        if isCancelled() { return nil }
        trainer.update()
      }
      parameters.append(contentsOf: trainer.network.parameters)
      test.append(trainer.network.test())
    }
    return ([test.map(\.loss), test.map(\.error)], parameters)
  }

  /// The run of a seed, or nil if it was cancelled.
  ///
  /// A checkpoint's iteration is the number of optimizer steps before it. `train_loss` and `train_error` are of
  /// the last of these steps' batch before the step, as its forward pass finds them; for the initial network,
  /// of the first batch. `test_loss` and `test_error` are of all test images under the checkpoint itself.
  static func run(
    recipe: Network.Recipe, images: TrainAndTest<Network.Images>, kernels: Kernels, seed: Int64,
    isCancelled: @Sendable () -> Bool
  ) -> Run? {
    let key = UInt64(bitPattern: seed)
    var random = PhiloxGenerator(seed: key, stream: ImageStream.schedule)
    let schedule = recipe.candidates(random: &random)

    var trainer = Self(recipe: recipe, images: images, kernels: kernels, seed: key)
    var parameters: [Float] = []
    parameters.reserveCapacity(schedule.count * Network.architecture.parameterCount)
    var (train, test): ([Outcome], [Outcome]) = ([], [])
    for iteration in schedule {
      var outcome: Outcome?
      while trainer.iteration < iteration {
        if isCancelled() { return nil }
        outcome = trainer.update()
        // The first step tells what the initial network, the first checkpoint, makes of the first batch.
        if train.isEmpty, let outcome { train.append(outcome) }
      }
      if isCancelled() { return nil }
      parameters.append(contentsOf: trainer.network.parameters)
      if let outcome { train.append(outcome) }
      test.append(trainer.network.test())
    }
    let run = Run(
      seed: seed, iterations: schedule,
      metrics: [train.map(\.loss), train.map(\.error), test.map(\.loss), test.map(\.error)],
      parameters: parameters)
    return recipe.keep(run, metrics: imageMetrics)
  }
}

/// What the tasks of images log with every checkpoint, in the order of ``Run/metrics``.
let imageMetrics = [Metric.trainLoss, .trainError, .testLoss, .testError]

/// PyTorch's default: weights and biases of a layer uniform within 1 / sqrt(inputs). A bias comes after its layer's
/// weights.
///
/// - Returns: (P).
func initialParameters(of architecture: Architecture, kernels: Kernels, seed: UInt64) -> [Float] {
  var parameters = [Float](repeating: 0, count: architecture.parameterCount)
  kernels.functions.random_uniform(seed, ImageStream.initialization, 0, parameters.count, &parameters)
  var (start, inputs) = (0, 1)
  for tensor in architecture.tensors {
    if tensor.shape.count > 1 { inputs = tensor.count / tensor.shape[0] }
    let bound = Float(1 / Double(inputs).squareRoot())
    for i in start..<(start + tensor.count) { parameters[i] = bound * (2 * parameters[i] - 1) }
    start += tensor.count
  }
  return parameters
}

/// A run's streams of random numbers, one a purpose; each epoch has ``ImageNetwork/streamsPerEpoch`` of its own.
enum ImageStream {
  static let initialization: UInt64 = 0
  static let schedule: UInt64 = 1
  static let firstEpoch: UInt64 = 2
}

extension ck_sgd {
  /// A recipe's optimizer, before the first epoch has set its rate.
  init(_ recipe: some ImageRecipe) {
    self.init(
      learning_rate: 0, momentum: Float(recipe.momentum), weight_decay: Float(recipe.weightDecay))
  }
}
