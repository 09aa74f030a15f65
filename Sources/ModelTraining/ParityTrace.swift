import ArrayFiles
import CKernels
package import Corpus
package import GenerativeModel
import VectorKernels

/// A short training on made-up pairs, written down update by update, for PyTorch to make again and to compare.
package final class ParityTrace {
  private let shape: TransformerShape
  private let configuration: GPTConfiguration
  private let lossAndGradient: LossAndGradient
  private let state: TrainingWeights
  /// Networks (updates × batch, P) and their metrics (updates × batch).
  private let start, target, startMetric, targetMetric: AlignedBuffer<Float>

  /// - Parameters:
  ///   - configuration: its `steps` updates are made, each on pairs of its own.
  ///   - atOnce: the pairs of a batch that are computed at once, a multiple of 16; nil for as many as memory allows.
  package init(
    _ configuration: GPTConfiguration, _ architecture: Architecture, workers: Int, atOnce: Int? = nil
  ) throws(CorpusError) {
    try configuration.validate()
    self.configuration = configuration
    shape = try TransformerShape(configuration.model, architecture)
    let kernels = try Kernels()
    let training = configuration.training
    lossAndGradient = LossAndGradient(
      shape, batch: training.batch, kernels: kernels, workers: workers, atOnce: atOnce)
    state = TrainingWeights(count: shape.weights.count)
    let items = training.batch * training.steps
    start = AlignedBuffer(count: items * architecture.parameterCount)
    target = AlignedBuffer(count: items * architecture.parameterCount)
    startMetric = AlignedBuffer(count: items)
    targetMetric = AlignedBuffer(count: items)
    let fill = kernels.functions
    fill.random_normal(training.seed, 1, 0, start.count, start.base)
    fill.random_normal(training.seed, 2, 0, target.count, target.base)
    // A target is its start and something of a rule, so that there is something to learn.
    for i in 0..<target.count { target.base[i] = 0.8 * start.base[i] + 0.2 * target.base[i] }
    fill.random_uniform(training.seed, 3, 0, items, startMetric.base)
    fill.random_uniform(training.seed, 4, 0, items, targetMetric.base)
    // No weight is 0 or 1, as some are at the beginning of a training: that would hide mistakes.
    for (index, tensor) in shape.weights.tensors.enumerated() {
      let isGain =
        tensor.name.hasSuffix("norm.weight") || tensor.name.contains("norm1.weight")
        || tensor.name.contains("norm2.weight")
      tensor.fill(state.weights.base) {
        fill.random_normal(training.seed, 5 + UInt64(index), 0, tensor.count, $0)
        for i in 0..<tensor.count { $0[i] = (isGain ? 1 : 0) + 0.05 * $0[i] }
      }
    }
    state.ema.base.update(from: state.weights.base, count: shape.weights.count)
  }

  private func examples(_ update: Int) -> Examples {
    let first = update * configuration.training.batch
    return Examples(
      count: configuration.training.batch, start: start.base + first * shape.parameterCount,
      target: target.base + first * shape.parameterCount, startMetric: startMetric.base + first,
      targetMetric: targetMetric.base + first)
  }

  private func loss(_ update: Int) -> Double {
    lossAndGradient.loss(
      state.weights.base, examples(update),
      draws: DiffusionDraws(seed: configuration.training.seed, update: update), wantsGradient: true)
  }

  /// The loss of the first update, and its gradient by each weight.
  package func firstGradient() -> (loss: Double, gradients: [String: [Float]]) {
    let loss = loss(0)
    let gradients = shape.weights.tensors.map { tensor in
      (
        tensor.name,
        Array(UnsafeBufferPointer(start: lossAndGradient.gradient.base + tensor.offset, count: tensor.count))
      )
    }
    return (loss, Dictionary(uniqueKeysWithValues: gradients))
  }

  /// Makes all updates.
  ///
  /// - Returns: the loss of each.
  package func train() -> [Double] {
    let optimizer = Optimizer(
      configuration: configuration.training, layout: shape.weights, threads: lossAndGradient.threads,
      functions: lossAndGradient.transformer.functions)
    return (0..<configuration.training.steps).map { update in
      let loss = loss(update)
      optimizer.update(state, gradient: lossAndGradient.gradient.base, update)
      return loss
    }
  }

  /// Draws a network from each start of the first update's pairs.
  package func sample(steps: Int, workers: Int) throws(CorpusError) -> [[Float]] {
    let description = ModelDescription(
      task: "made-up", architecture: shape.architecture, recipe: .null, metric: .testLoss,
      metricRange: [0, 1],
      scale: 1, corpus: ModelDescription.Source(path: "", fingerprint: "", runs: 0, pairsPerEpoch: 0),
      configuration: configuration)
    let sampler = try Sampler(description, shape, weights: state.weights.base)
    let prompts = (0..<configuration.training.batch).map { item in
      Prompt(
        start: Array(
          UnsafeBufferPointer(start: start.base + item * shape.parameterCount, count: shape.parameterCount)),
        startMetric: startMetric.base[item], targetMetric: targetMetric.base[item])
    }
    return try sampler.sample(prompts, options: SamplingOptions(steps: steps), workers: workers)
  }

  /// Writes down the beginning, the noise of all updates, the first gradient, all losses and the final weights.
  package func write(to path: String) throws(CorpusError) {
    let training = configuration.training
    let items = training.batch * training.steps
    let noise = AlignedBuffer<Float>(count: items * shape.parameterCount)
    let timesteps = AlignedBuffer<Float>(count: items)
    for item in 0..<items {
      let draws = DiffusionDraws(seed: training.seed, update: item / training.batch)
      let number = item % training.batch
      draws.noise(
        of: number, count: shape.parameterCount, kernels: lossAndGradient.transformer.kernels,
        to: noise.base + item * shape.parameterCount)
      timesteps.base[item] = Float(draws.timestep(of: number, below: shape.configuration.diffusionSteps))
    }
    func copy(_ count: Int, _ memory: UnsafeMutablePointer<Float>) -> AlignedBuffer<Float> {
      let copy = AlignedBuffer<Float>(count: count)
      copy.base.update(from: memory, count: count)
      return copy
    }
    let initial = copy(shape.weights.count, state.weights.base)
    _ = loss(0)
    let gradient = copy(shape.weights.count, lossAndGradient.gradient.base)
    // The whole first batch, if it is computed at once.
    let first = min(training.batch, lossAndGradient.activations.capacity)
    let prediction = copy(
      first * shape.parameterCount, lossAndGradient.activations[0..<first].parameters.x0.base)
    let losses = AlignedBuffer<Float>(count: training.steps)
    for (i, loss) in train().enumerated() { losses.base[i] = Float(loss) }
    let batch = [training.steps, training.batch]
    func contents(_ name: String, _ shape: [Int], _ numbers: UnsafePointer<Float>) -> TensorFile.Contents {
      TensorFile.Contents(name, shape, numbers, stride: shape[shape.count - 1])
    }
    let vectors = batch + [shape.parameterCount]
    var tensors = [
      contents("start", vectors, start.base), contents("target", vectors, target.base),
      contents("noise", vectors, noise.base), contents("start_metric", batch, startMetric.base),
      contents("target_metric", batch, targetMetric.base), contents("step", batch, timesteps.base),
      contents("losses", [training.steps], losses.base),
      contents("prediction", [first, shape.parameterCount], prediction.base),
    ]
    for (prefix, memory) in [
      ("initial.", initial.base), ("gradient.", gradient.base), ("final.", state.weights.base),
      ("average.", state.ema.base),
    ] { tensors += shape.weights.tensors(prefix, in: memory) }
    try TensorFile.write(
      tensors,
      metadata: [
        "configuration": try CanonicalJSON.string(configuration),
        "shapes": try CanonicalJSON.string(shape.architecture.tensors.map(\.shape)),
      ], to: path)
    // The tensors above are pointers into these.
    withExtendedLifetime(noise) {}
    withExtendedLifetime(timesteps) {}
    withExtendedLifetime(initial) {}
    withExtendedLifetime(gradient) {}
    withExtendedLifetime(losses) {}
    withExtendedLifetime(prediction) {}
  }
}
