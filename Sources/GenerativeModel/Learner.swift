import CKernels
import Corpus
import VectorKernels

/// Pairs to learn from, in somebody else's memory.
struct Examples {
  let count: Int
  /// (count, P), scaled.
  let start: UnsafePointer<Float>
  let target: UnsafePointer<Float>
  /// (count).
  let startMetric: UnsafePointer<Float>
  let targetMetric: UnsafePointer<Float>
}

/// Where the diffusion step and the noise of each example come from: a pure function of seed, step and item.
struct DiffusionDraws {
  let seed: UInt64
  /// The update.
  let step: Int
  /// Whether it is for the held-out loss.
  var isHeldOut = false

  /// The diffusion step that an item gets.
  func diffusionStep(of item: Int, below count: Int) -> Int {
    let purpose: RandomPurpose = isHeldOut ? .heldOutDiffusionStep : .diffusionStep
    var random = PhiloxGenerator(seed: seed, stream: purpose.stream(step: step, item: item))
    return Int(random.integer(below: UInt32(count)))
  }

  /// Writes an item's noise: standard normal, (count).
  func noise(of item: Int, count: Int, kernels: Kernels, to output: UnsafeMutablePointer<Float>) {
    let purpose: RandomPurpose = isHeldOut ? .heldOutNoise : .noise
    kernels.functions.random_normal(seed, purpose.stream(step: step, item: item), 0, count, output)
  }
}

/// Computes the diffusion's loss, and its gradient by all weights, on examples of any number.
final class Learner {
  let transformer: Transformer
  let team: Team
  /// (``WeightLayout/count``).
  let gradient: AlignedBuffer<Float>
  private let diffusion: Diffusion
  private let embedding: ScalarEmbedding
  let activations: Activations
  /// The gradients of the vectors among the weights, of each group.
  private let groupVectors: AlignedBuffer<Float>

  private var shape: TransformerShape { transformer.shape }

  /// What activations may take, so that the memory does not grow with the batch.
  private static let activationBytes = 512 << 20

  /// The examples that are computed at once: whole groups. It depends on the model alone, as sums over them do.
  static func examplesAtOnce(_ shape: TransformerShape) -> Int {
    let groupFloats = Activations.plan(shape, examples: shape.group, keepsGradients: true)
    return max(1, min(64, activationBytes / 4 / groupFloats)) * shape.group
  }

  /// The bytes that a learner takes.
  static func bytes(_ shape: TransformerShape, batch: Int) -> Int {
    let atOnce = min(batch, examplesAtOnce(shape))
    return 4
      * (Activations.plan(shape, examples: atOnce, keepsGradients: true) + shape.weights.count
        + shape.groups(of: atOnce) * shape.weights.vectorCount)
  }

  init(_ shape: TransformerShape, batch: Int, kernels: Kernels, workers: Int) {
    transformer = Transformer(shape: shape, kernels: kernels)
    team = Team(workers: workers)
    diffusion = Diffusion(shape.configuration)
    embedding = ScalarEmbedding(shape.configuration)
    let atOnce = min(batch, Self.examplesAtOnce(shape))
    activations = Activations(shape, examples: atOnce, keepsGradients: true)
    gradient = AlignedBuffer(count: shape.weights.count)
    groupVectors = AlignedBuffer(count: shape.groups(of: atOnce) * shape.weights.vectorCount)
  }

  /// Draws each example's diffusion step and noise, and computes the loss: the mean squared error of the predicted clean
  /// targets.
  ///
  /// - Parameter wantsGradient: whether ``gradient`` gets the loss's gradient.
  func loss(
    _ weights: UnsafePointer<Float>, _ examples: Examples, draws: DiffusionDraws, wantsGradient: Bool
  ) -> Double {
    let vectorCount = shape.weights.vectorCount
    if wantsGradient { groupVectors.base.update(repeating: 0, count: groupVectors.count) }
    var total = 0.0
    for first in stride(from: 0, to: examples.count, by: activations.examples) {
      let count = min(activations.examples, examples.count - first)
      var losses = [Double](repeating: 0, count: shape.groups(of: count))
      losses.withUnsafeMutableBufferPointer { losses in
        let losses = losses
        team.forEach(losses.count) { number in
          let group = (number * shape.group)..<min(count, (number + 1) * shape.group)
          for item in group {
            fill(item, from: examples, first + item, draws)
          }
          transformer.forward(weights, activations, group)
          losses[number] = squaredError(group, examples, first)
          if wantsGradient {
            transformer.backward(
              weights, activations, group, vectors: groupVectors.base + number * vectorCount)
          }
        }
      }
      total = losses.reduce(total, +)
      if wantsGradient {
        let products = transformer.matrixGradients(activations, examples: count, gradient: gradient.base)
        team.forEach(products.count) { products[$0].compute(adds: first > 0) }
      }
    }
    if wantsGradient {
      addVectorGradients(groups: shape.groups(of: min(examples.count, activations.examples)))
    }
    return total / Double(examples.count * shape.parameterCount)
  }

  private func fill(_ item: Int, from examples: Examples, _ number: Int, _ draws: DiffusionDraws) {
    let length = shape.parameterCount
    let noised = activations.noised.base + item * length
    draws.noise(of: number, count: length, kernels: transformer.kernels, to: noised)
    let step = draws.diffusionStep(of: number, below: shape.configuration.diffusionSteps)
    let (clean, noise) = diffusion.noising(at: step)
    transformer.functions.blend(length, clean, examples.target + number * length, noise, noised, noised)
    (activations.start.base + item * length).update(from: examples.start + number * length, count: length)
    let scalars = activations.scalars.base + item * activations.scalars.stride
    embedding.embed(step: step, to: scalars)
    embedding.embed(
      startMetric: examples.startMetric[number], targetMetric: examples.targetMetric[number], to: scalars)
  }

  private func squaredError(_ group: Range<Int>, _ examples: Examples, _ first: Int) -> Double {
    guard let gradient = activations.predictionGradient else { preconditionFailure() }
    let length = shape.parameterCount
    let offset = group.lowerBound * length
    return transformer.functions.squared_error(
      group.count * length, 2 / Float(examples.count * length), activations.prediction.base + offset,
      examples.target + first * length + offset, gradient.base + offset)
  }

  private func addVectorGradients(groups: Int) {
    let count = shape.weights.vectorCount
    team.forEachStretch(of: count) { _, stretch in
      let sum = gradient.base + stretch.lowerBound
      sum.update(from: groupVectors.base + stretch.lowerBound, count: stretch.count)
      for group in 1..<max(1, groups) {
        transformer.functions.blend(
          stretch.count, 1, sum, 1, groupVectors.base + group * count + stretch.lowerBound, sum)
      }
    }
  }
}
