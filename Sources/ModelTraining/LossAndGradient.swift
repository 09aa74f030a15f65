import CKernels
import Corpus
import GenerativeModel
import VectorKernels

/// Pairs to learn from, in somebody else's memory.
struct Examples {
  let count: Int
  /// Networks (count, P), scaled.
  let start: UnsafePointer<Float>
  let target: UnsafePointer<Float>
  /// Their metrics: (count).
  let startMetric: UnsafePointer<Float>
  let targetMetric: UnsafePointer<Float>
}

/// Where the timestep and the noise of each example come from: a pure function of seed, update and item.
struct DiffusionDraws {
  let seed: UInt64
  let update: Int
  /// Whether it is for the held-out loss.
  var isHeldOut = false

  /// The timestep that an item gets.
  func timestep(of item: Int, below count: Int) -> Int {
    let purpose: RandomPurpose = isHeldOut ? .heldOutTimestep : .timestep
    var random = PhiloxGenerator(seed: seed, stream: purpose.stream(update, item: item))
    return Int(random.integer(below: UInt32(count)))
  }

  /// Writes an item's noise: standard normal, (count).
  func noise(of item: Int, count: Int, kernels: Kernels, to output: UnsafeMutablePointer<Float>) {
    let purpose: RandomPurpose = isHeldOut ? .heldOutNoise : .noise
    kernels.functions.random_normal(seed, purpose.stream(update, item: item), 0, count, output)
  }
}

/// Computes the diffusion's loss, and its gradient by all weights, on examples of any number.
final class LossAndGradient {
  let transformer: Transformer
  let threads: ThreadPool
  /// The gradient by all weights: (``WeightLayout/count``).
  let gradient: AlignedBuffer<Float>
  private let diffusion: Diffusion
  private let embedding: ScalarEmbedding
  let activations: ActivationMemory

  private var shape: TransformerShape { transformer.shape }

  /// What activations may take, so that the memory does not grow with the batch.
  private static let activationBytes = 512 << 20

  /// The examples that are computed at once: whole groups. It depends on the model alone, as sums over them do.
  static func examplesAtOnce(_ shape: TransformerShape) -> Int {
    let groupFloats = Activations.plan(shape, examples: shape.group, keepsGradients: true)
    return max(1, min(64, activationBytes / 4 / groupFloats)) * shape.group
  }

  /// The bytes that it takes for batches of this many examples.
  static func bytes(_ shape: TransformerShape, batch: Int) -> Int {
    let atOnce = min(batch, examplesAtOnce(shape))
    return 4
      * (Activations.plan(shape, examples: atOnce, keepsGradients: true) + shape.weights.count
        + shape.groups(of: atOnce) * shape.weights.vectorCount)
  }

  /// - Parameter atOnce: the examples that are computed at once, whole groups; nil for as many as memory allows.
  init(_ shape: TransformerShape, batch: Int, kernels: Kernels, workers: Int, atOnce: Int? = nil) {
    transformer = Transformer(shape: shape, kernels: kernels)
    threads = ThreadPool(workers: workers)
    diffusion = Diffusion(shape.configuration)
    embedding = ScalarEmbedding(shape.configuration)
    let capacity = min(batch, atOnce ?? Self.examplesAtOnce(shape))
    activations = ActivationMemory(shape, capacity: capacity, keepsGradients: true)
    gradient = AlignedBuffer(count: shape.weights.count)
  }

  /// Draws each example's timestep and noise, and computes the loss: the mean squared error of the predicted clean
  /// targets.
  ///
  /// - Parameter wantsGradient: whether ``gradient`` gets the loss's gradient.
  func loss(
    _ weights: UnsafePointer<Float>, _ examples: Examples, draws: DiffusionDraws, wantsGradient: Bool
  ) -> Double {
    let dvectors = activations.dvectors
    if wantsGradient { dvectors.base.update(repeating: 0, count: dvectors.rows * dvectors.columns) }
    var total = 0.0
    for first in stride(from: 0, to: examples.count, by: activations.capacity) {
      let count = min(activations.capacity, examples.count - first)
      var losses = [Double](repeating: 0, count: shape.groups(of: count))
      losses.withUnsafeMutableBufferPointer { losses in
        let losses = losses
        threads.forEach(losses.count) { number in
          let items = (number * shape.group)..<min(count, (number + 1) * shape.group)
          let group = activations[items]
          for (example, item) in items.enumerated() {
            write(examples, first + item, draws, to: example, of: group)
          }
          transformer.forward(weights, group)
          losses[number] = squaredError(group, examples, first + items.lowerBound)
          if wantsGradient { transformer.backward(weights, group) }
        }
      }
      total = losses.reduce(total, +)
      if wantsGradient {
        let gradients = transformer.weightGradients(activations[0..<count], gradient: gradient.base)
        threads.forEach(gradients.count) { gradients[$0].compute(accumulate: first > 0) }
      }
    }
    if wantsGradient { sum(dvectors[0..<shape.groups(of: min(examples.count, activations.capacity))]) }
    return total / Double(examples.count * shape.parameterCount)
  }

  /// Writes a pair, noised, to an example of a group.
  private func write(
    _ examples: Examples, _ item: Int, _ draws: DiffusionDraws, to example: Int, of group: Activations
  ) {
    let length = shape.parameterCount
    let xT = group.parameters.xT.row(example)
    draws.noise(of: item, count: length, kernels: transformer.kernels, to: xT)
    let timestep = draws.timestep(of: item, below: shape.configuration.diffusionSteps)
    let factors = diffusion.noising(at: timestep)
    transformer.functions.axpby(
      length, factors.x0, examples.target + item * length, factors.noise, xT, xT)
    group.parameters.start.row(example).update(from: examples.start + item * length, count: length)
    let scalars = group.scalars.row(example)
    embedding.embed(timestep: timestep, to: scalars)
    embedding.embed(
      startMetric: examples.startMetric[item], targetMetric: examples.targetMetric[item], to: scalars)
  }

  /// The sum of squared errors of a group whose first example is `first`; its gradient becomes that of the mean.
  private func squaredError(_ group: Activations, _ examples: Examples, _ first: Int) -> Double {
    let length = shape.parameterCount
    return transformer.functions.squared_error(
      group.examples * length, 2 / Float(examples.count * length), group.parameters.x0.base,
      examples.target + first * length, group.dx0.base)
  }

  /// Sums the gradients of the vectors among the weights up: (groups, ``WeightLayout/vectorCount``).
  private func sum(_ dvectors: Matrix) {
    threads.forEachSlice(of: dvectors.columns) { _, slice in
      let sum = gradient.base + slice.lowerBound
      sum.update(from: dvectors.base + slice.lowerBound, count: slice.count)
      for group in 1..<max(1, dvectors.rows) {
        transformer.functions.axpby(slice.count, 1, sum, 1, dvectors.row(group) + slice.lowerBound, sum)
      }
    }
  }
}
