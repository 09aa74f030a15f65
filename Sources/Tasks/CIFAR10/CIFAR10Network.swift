internal import CKernels
internal import Corpus
package import Datasets
package import VectorKernels

/// The images of the CIFAR-10 task in the form in which the kernels read them, shared by all runs.
package struct CIFAR10Images: Sendable {
  let train: ColorImages
  let test: ColorImages

  package init(_ dataset: ImageDataset) {
    train = ColorImages(dataset.train)
    test = ColorImages(dataset.test)
  }
}

/// One run of stochastic gradient descent on the convolutional network as it goes.
package struct CIFAR10Trainer: ~Copyable {
  private static let parameterCount = Int(CK_CNN_PARAMETERS)
  /// Padded with zeros to whole vectors.
  private static let paddedCount = paddedToVectors(parameterCount)

  private let recipe: CIFAR10Recipe
  private let kernels: Kernels
  private let images: CIFAR10Images
  private let seed: UInt64
  private let network: AlignedBuffer<Float>
  private let gradient = AlignedBuffer<Float>(count: paddedCount)
  private let velocity = AlignedBuffer<Float>(count: paddedCount)
  private let packed = AlignedBuffer<UInt8>(count: Int(CK_CNN_BYTES))
  private let scratch = AlignedBuffer<UInt8>(count: Int(CK_CNN_SCRATCH_BYTES))
  private let order: EpochOrder
  /// For each place in the epoch's order, what decides how its image is seen.
  private let views: AlignedBuffer<UInt32>
  private let decay: CosineDecay
  private var trainPictures: ck_pictures
  private var testPictures: ck_pictures
  private var sgd: ck_sgd
  private var crops: [ck_crop] = []
  /// The optimizer steps done.
  package private(set) var iteration = 0
  /// The outcome of the last step's batch before that step; of the first one's before any.
  package private(set) var trainOutcome = Outcome(loss: 0, error: 0)

  package init(recipe: CIFAR10Recipe, images: CIFAR10Images, kernels: Kernels, seed: UInt64) {
    self.recipe = recipe
    self.kernels = kernels
    self.images = images
    self.seed = seed
    network = Self.initialParameters(kernels: kernels, seed: seed)
    order = EpochOrder(count: images.train.count, kernels: kernels, seed: seed)
    views = AlignedBuffer(count: images.train.count)
    decay = CosineDecay(base: recipe.learningRate, epochs: recipe.epochs)
    trainPictures = images.train.view(means: recipe.pixelMeans, deviations: recipe.pixelDeviations)
    testPictures = images.test.view(means: recipe.pixelMeans, deviations: recipe.pixelDeviations)
    sgd = ck_sgd(
      learning_rate: 0, momentum: Float(recipe.momentum), weight_decay: Float(recipe.weightDecay))

    pack()
    drawBatch()
    backpropagate()
  }

  /// The parameter vector of the present network.
  package var parameters: [Float] {
    Array(UnsafeBufferPointer(start: network.base, count: Self.parameterCount))
  }

  /// How the last step saw its images: for each its place in the data set, 1 if it was mirrored, else 0, and
  /// the first row and column of its crop.
  package var batch: [UInt32] {
    crops.flatMap { [$0.picture, UInt32($0.flip), UInt32($0.row), UInt32($0.column)] }
  }

  /// One optimizer step.
  package mutating func step() {
    drawBatch()
    backpropagate()
    kernels.functions.sgd_step(&sgd, Self.paddedCount, gradient.base, network.base, velocity.base)
    pack()
    iteration += 1
  }

  /// The outcome of all test images under the present network.
  package mutating func test() -> Outcome {
    let outcome = kernels.functions.cnn_evaluate(
      OpaquePointer(packed.base), &testPictures, images.test.count, scratch.base)
    return Outcome(loss: outcome.loss, error: outcome.error)
  }

  /// The gradient and the outcome of the batch under the present network.
  package mutating func backpropagate() {
    let outcome = kernels.functions.cnn_gradient(
      OpaquePointer(packed.base), &trainPictures, recipe.batchSize, crops, gradient.base, scratch.base)
    trainOutcome = Outcome(loss: outcome.loss, error: outcome.error)
  }

  /// Chooses the images of the next step, how they are seen, and its rate.
  private mutating func drawBatch() {
    let (epoch, place) = iteration.quotientAndRemainder(dividingBy: recipe.stepsPerEpoch)
    if place == 0 {
      let stream = CIFAR10Stream.firstOrder + 2 * UInt64(epoch)
      order.shuffle(stream: stream)
      kernels.functions.random_words(seed, stream + 1, 0, views.count, views.base)
      sgd.learning_rate = Float(decay.rate(epoch: epoch))
    }
    let start = place * recipe.batchSize
    crops = (start..<(start + recipe.batchSize)).map { i in
      // The upper bits are a number from 0 to 1, as those of all uniform numbers here.
      let word = views.base[i]
      let isFlipped = Double(word >> 8) * 0x1p-24 < recipe.flipProbability
      return ck_crop(
        picture: order.images.base[i], flip: isFlipped ? 1 : 0, row: UInt8(word & 7),
        column: UInt8(word >> 3 & 7))
    }
  }

  /// PyTorch's default: weights and biases of a layer uniform within 1 / sqrt(inputs). Padded with zeros.
  static func initialParameters(kernels: Kernels, seed: UInt64) -> AlignedBuffer<Float> {
    let network = AlignedBuffer<Float>(count: paddedCount)
    kernels.functions.random_uniform(
      seed, CIFAR10Stream.initialization, 0, parameterCount, network.base)
    var start = 0
    for tensor in CIFAR10Generator.tensors {
      // The bias comes after its layer's weights, and has no inputs of its own.
      let inputs = tensor.shape.count > 1 ? tensor.count / tensor.shape[0] : CIFAR10Generator.pooledChannels
      let bound = Float(1 / Double(inputs).squareRoot())
      for i in start..<(start + tensor.count) { network.base[i] = bound * (2 * network.base[i] - 1) }
      start += tensor.count
    }
    return network
  }

  private func pack() {
    kernels.functions.cnn_pack(network.base, OpaquePointer(packed.base))
  }
}

/// A run's streams of random numbers, one a purpose; each epoch has two of its own, for the order of the
/// images and for how they are seen.
enum CIFAR10Stream {
  static let initialization: UInt64 = 0
  static let schedule: UInt64 = 1
  static let firstOrder: UInt64 = 2
}
