internal import CKernels
package import Corpus
package import VectorKernels

package typealias CIFAR10Trainer = ImageTrainer<CIFAR10Network>
package typealias CIFAR10Images = TrainAndTest<ColorImages>

/// The convolutional network under stochastic gradient descent with Nesterov's momentum; `body_cnn.h` has the arithmetic.
package struct CIFAR10Network: ImageNetwork, ~Copyable {
  package static var architecture: Architecture { .cifar10 }
  package static var streamsPerEpoch: UInt64 { 2 }

  private static let parameterCount = Int(CK_CNN_PARAMETERS)
  private static let paddedCount = ck_padded(parameterCount)

  private let kernels: Kernels
  private let images: CIFAR10Images
  /// The parameters, then zeros up to whole vectors; so are gradient and velocity.
  private let network = AlignedBuffer<Float>(count: paddedCount)
  private let gradient = AlignedBuffer<Float>(count: paddedCount)
  private let velocity = AlignedBuffer<Float>(count: paddedCount)
  private let packed = AlignedBuffer<UInt8>(count: Int(CK_CNN_BYTES))
  private let scratch = AlignedBuffer<UInt8>(count: Int(CK_CNN_SCRATCH_BYTES))
  private var trainPictures: ck_pictures
  private var testPictures: ck_pictures
  private var sgd: ck_sgd
  private let flipProbability: Double
  /// For each position in the epoch's order a random word, which decides how its image is augmented.
  private let words: AlignedBuffer<UInt32>
  private var crops: [ck_crop] = []

  package init(recipe: CIFAR10Recipe, images: CIFAR10Images, kernels: Kernels, parameters: [Float]) {
    precondition(parameters.count == Self.parameterCount)
    self.kernels = kernels
    self.images = images
    trainPictures = images.train.view(means: recipe.pixelMeans, deviations: recipe.pixelDeviations)
    testPictures = images.test.view(means: recipe.pixelMeans, deviations: recipe.pixelDeviations)
    sgd = ck_sgd(recipe)
    flipProbability = recipe.flipProbability
    words = AlignedBuffer(count: images.train.count)
    for (i, parameter) in parameters.enumerated() { network.base[i] = parameter }
    pack()
  }

  package var parameters: [Float] {
    Array(UnsafeBufferPointer(start: network.base, count: Self.parameterCount))
  }

  /// How the last step saw its images, four numbers each: its index in the data set, 1 if it was mirrored, else 0, and
  /// the first row and column of its crop.
  package var views: [UInt32] {
    crops.flatMap { [$0.picture, UInt32($0.flip), UInt32($0.row), UInt32($0.column)] }
  }

  package mutating func beginEpoch(learningRate: Float, seed: UInt64, stream: UInt64) {
    sgd.learning_rate = learningRate
    kernels.functions.random_words(seed, stream + 1, 0, words.count, words.base)
  }

  package mutating func update(order: UnsafePointer<UInt32>, range: Range<Int>) -> Outcome {
    crops = range.map { crop(of: order[$0], word: words.base[$0]) }
    let outcome = backpropagate()
    kernels.functions.sgd_step(&sgd, Self.paddedCount, gradient.base, network.base, velocity.base)
    pack()
    return outcome
  }

  /// The outcome of the last step's batch under the present network, and its gradient.
  @discardableResult package mutating func backpropagate() -> Outcome {
    Outcome(
      kernels.functions.cnn_gradient(
        OpaquePointer(packed.base), &trainPictures, crops.count, crops, gradient.base, scratch.base))
  }

  package mutating func gradient(
    order: UnsafePointer<UInt32>, range: Range<Int>, into result: UnsafeMutablePointer<Float>
  ) -> Outcome {
    crops = range.map { crop(of: order[$0], word: words.base[$0]) }
    let outcome = backpropagate()
    result.update(from: gradient.base, count: Self.parameterCount)
    return outcome
  }

  package mutating func replace(parameters: UnsafePointer<Float>) {
    network.base.update(from: parameters, count: Self.parameterCount)
    pack()
  }

  package mutating func mistakes() -> [Float] {
    mistakes(of: images.test.count) { mistakes in
      _ = kernels.functions.cnn_mistakes(
        OpaquePointer(packed.base), &testPictures, images.test.count, mistakes, scratch.base)
    }
  }

  package mutating func test() -> Outcome { test(first: images.test.count) }

  /// The outcome of the first `count` test images.
  mutating func test(first count: Int) -> Outcome {
    Outcome(kernels.functions.cnn_evaluate(OpaquePointer(packed.base), &testPictures, count, scratch.base))
  }

  /// The upper bits of the word are a number from 0 to 1, as those of all uniform numbers here.
  private func crop(of image: UInt32, word: UInt32) -> ck_crop {
    ck_crop(
      picture: image, flip: Double(word >> 8) * 0x1p-24 < flipProbability ? 1 : 0, row: UInt8(word & 7),
      column: UInt8(word >> 3 & 7))
  }

  private func pack() {
    kernels.functions.cnn_pack(network.base, OpaquePointer(packed.base))
  }
}
