internal import CKernels
package import Corpus
package import VectorKernels

package typealias MNISTTrainer = ImageTrainer<MNISTNetwork>
package typealias MNISTImages = TrainAndTest<InkImages>

/// The 784-10-10 network under stochastic gradient descent with Nesterov's momentum; `body_mnist.h` has the arithmetic.
package struct MNISTNetwork: ImageNetwork, ~Copyable {
  package static var architecture: Architecture { .mnist }
  package static var streamsPerEpoch: UInt64 { 1 }

  private let kernels: Kernels
  private let images: MNISTImages
  /// A `ck_mnist`: parameters, momentum, gradient and working memory.
  private let memory = AlignedBuffer<UInt8>(count: Int(CK_MNIST_BYTES))
  private var scale: ck_mnist_scale
  private var sgd: ck_sgd

  package init(recipe: MNISTRecipe, images: MNISTImages, kernels: Kernels, parameters: [Float]) {
    precondition(parameters.count == Self.architecture.parameterCount)
    self.kernels = kernels
    self.images = images
    scale = ck_mnist_scale(recipe)
    sgd = ck_sgd(recipe)
    kernels.functions.mnist_pack(parameters, OpaquePointer(memory.base))
  }

  package var parameters: [Float] {
    var parameters = [Float](repeating: 0, count: Self.architecture.parameterCount)
    kernels.functions.mnist_unpack(OpaquePointer(memory.base), &parameters)
    return parameters
  }

  package mutating func beginEpoch(learningRate: Float, seed: UInt64, stream: UInt64) {
    sgd.learning_rate = learningRate
  }

  package mutating func update(order: UnsafePointer<UInt32>, range: Range<Int>) -> Outcome {
    var view = images.train.view
    return Outcome(
      kernels.functions.mnist_step(
        OpaquePointer(memory.base), &scale, &sgd, &view, range.count, order + range.lowerBound))
  }

  package mutating func gradient(
    order: UnsafePointer<UInt32>, range: Range<Int>, into gradient: UnsafeMutablePointer<Float>
  ) -> Outcome {
    var view = images.train.view
    return Outcome(
      kernels.functions.mnist_gradient(
        OpaquePointer(memory.base), &scale, &view, range.count, order + range.lowerBound, gradient))
  }

  package mutating func replace(parameters: UnsafePointer<Float>) {
    kernels.functions.mnist_pack(parameters, OpaquePointer(memory.base))
  }

  package mutating func mistakes() -> [Float] {
    var view = images.test.view
    return mistakes(of: images.test.count) { mistakes in
      _ = kernels.functions.mnist_mistakes(
        OpaquePointer(memory.base), &scale, &view, images.test.count, mistakes)
    }
  }

  package mutating func test() -> Outcome {
    var view = images.test.view
    return Outcome(
      kernels.functions.mnist_evaluate(OpaquePointer(memory.base), &scale, &view, images.test.count))
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
