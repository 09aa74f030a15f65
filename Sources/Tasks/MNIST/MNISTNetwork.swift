internal import CKernels
package import Datasets
package import VectorKernels

/// The images of the MNIST task in the form in which the kernels read them, shared by all runs.
package struct MNISTImages: Sendable {
  let train: InkImages
  let test: InkImages

  package init(_ dataset: ImageDataset) {
    train = InkImages(dataset.train)
    test = InkImages(dataset.test)
  }
}

/// The mean cross entropy, and the error in percent.
package struct Outcome: Hashable, Sendable {
  package let loss: Float
  package let error: Float
}

/// One run of stochastic gradient descent on the 784-10-10 network as it goes.
package struct MNISTTrainer: ~Copyable {
  private let recipe: MNISTRecipe
  private let kernels: Kernels
  private let images: MNISTImages
  private let network = AlignedBuffer<UInt8>(count: Int(CK_MNIST_BYTES))
  private var order: EpochOrder
  private let decay: CosineDecay
  private var scale: ck_mnist_scale
  private var sgd: ck_sgd
  /// The optimizer steps done.
  package private(set) var iteration = 0
  /// The outcome of the last step's batch before that step; of the first one's before any.
  package private(set) var trainOutcome = Outcome(loss: 0, error: 0)

  package init(recipe: MNISTRecipe, images: MNISTImages, kernels: Kernels, seed: UInt64) {
    self.recipe = recipe
    self.kernels = kernels
    self.images = images
    order = EpochOrder(count: images.train.count, kernels: kernels, seed: seed)
    decay = CosineDecay(base: recipe.learningRate, epochs: recipe.epochs)
    scale = ck_mnist_scale(recipe)
    sgd = ck_sgd(
      learning_rate: 0, momentum: Float(recipe.momentum), weight_decay: Float(recipe.weightDecay))

    let initial = Self.initialParameters(kernels: kernels, seed: seed)
    kernels.functions.mnist_pack(initial.base, OpaquePointer(network.base))
    // A step tells the outcome before it; then everything is as it was.
    step()
    kernels.functions.mnist_pack(initial.base, OpaquePointer(network.base))
    iteration = 0
  }

  /// The parameter vector of the present network.
  package var parameters: [Float] {
    [Float](unsafeUninitializedCapacity: Int(CK_MNIST_PARAMETERS)) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      kernels.functions.mnist_unpack(OpaquePointer(network.base), base)
      count = Int(CK_MNIST_PARAMETERS)
    }
  }

  /// The places of the images that the last step was taken on.
  package var batch: [UInt32] {
    let start = (iteration - 1) % recipe.stepsPerEpoch * recipe.batchSize
    return (start..<(start + recipe.batchSize)).map { order.images.base[$0] }
  }

  /// One optimizer step.
  package mutating func step() {
    let (epoch, place) = iteration.quotientAndRemainder(dividingBy: recipe.stepsPerEpoch)
    if place == 0 {
      order.shuffle(stream: MNISTStream.firstOrder + UInt64(epoch))
      sgd.learning_rate = Float(decay.rate(epoch: epoch))
    }
    var view = images.train.view
    let outcome = kernels.functions.mnist_step(
      OpaquePointer(network.base), &scale, &sgd, &view, recipe.batchSize,
      order.images.base + place * recipe.batchSize)
    trainOutcome = Outcome(loss: outcome.loss, error: outcome.error)
    iteration += 1
  }

  /// The outcome of all test images under the present network.
  package mutating func test() -> Outcome {
    var view = images.test.view
    let outcome = kernels.functions.mnist_evaluate(
      OpaquePointer(network.base), &scale, &view, images.test.count)
    return Outcome(loss: outcome.loss, error: outcome.error)
  }

  /// PyTorch's default: weights and biases of a layer uniform within 1 / sqrt(inputs).
  static func initialParameters(kernels: Kernels, seed: UInt64) -> AlignedBuffer<Float> {
    let count = Int(CK_MNIST_PARAMETERS)
    let (pixels, units) = (Int(CK_MNIST_PIXELS), Int(CK_MNIST_UNITS))
    let parameters = AlignedBuffer<Float>(count: count)
    kernels.functions.random_uniform(seed, MNISTStream.initialization, 0, count, parameters.base)
    for i in 0..<count {
      let inputs = i < units * pixels + units ? pixels : units
      parameters.base[i] = Float(1 / Double(inputs).squareRoot()) * (2 * parameters.base[i] - 1)
    }
    return parameters
  }
}

extension ck_mnist_scale {
  /// What a recipe does to pixels.
  init(_ recipe: MNISTRecipe) {
    self.init(
      background: Float(-recipe.pixelMean / recipe.pixelDeviation),
      scale: Float(1 / (255 * recipe.pixelDeviation)))
  }
}

/// A run's streams of random numbers, one a purpose; each epoch's order has one of its own.
enum MNISTStream {
  static let initialization: UInt64 = 0
  static let schedule: UInt64 = 1
  static let firstOrder: UInt64 = 2
}
