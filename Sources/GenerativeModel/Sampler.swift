public import Platform
import NetworkSymmetry
import CKernels
public import Corpus
import PairSampling
import VectorKernels

/// What a model is asked: a network to start from, and the metric that it should reach in one step.
public struct Prompt: Sendable {
  /// (P), as stored.
  public var start: [Float]
  public var startMetric: Float
  public var targetMetric: Float

  public init(start: [Float], startMetric: Float, targetMetric: Float) {
    self.start = start
    self.startMetric = startMetric
    self.targetMetric = targetMetric
  }
}

/// How samples are drawn.
public struct SamplingOptions: Sendable {
  public var sampler: SamplerKind
  /// Passes through the model for each sample; at most the diffusion's steps.
  public var steps: Int
  public var seed: UInt64

  public init(sampler: SamplerKind = .ddim, steps: Int = 50, seed: UInt64 = 0) {
    self.sampler = sampler
    self.steps = steps
    self.seed = seed
  }
}

/// A trained G.pt, which writes networks when prompted.
public final class Sampler: Sendable {
  public let description: ModelDescription
  private let shape: TransformerShape
  private let transformer: Transformer
  private let diffusion: Diffusion
  private let embedding: ScalarEmbedding
  private let hidden: HiddenLayers
  private let weights: Weights

  private final class Weights: @unchecked Sendable {
    // Sendable because nothing changes after the initializer of the model.
    let buffer: AlignedBuffer<Float>
    init(count: Int) { buffer = AlignedBuffer(count: count) }
  }

  /// Opens a stored model.
  ///
  /// - Throws: `malformedModel` or `unsupportedVersion`.
  public convenience init(opening directory: ModelDirectory) throws(CorpusError) {
    let description = try directory.description()
    let shape = try TransformerShape(description.model, description.architecture)
    // Known to be there, and of these shapes, before memory is taken for them.
    let file = try directory.weights(shape.weights)
    try self.init(description, shape)
    try shape.weights.read(of: file, into: weights.buffer.base)
  }

  /// A model of these weights: (``WeightLayout/count``).
  convenience init(
    _ description: ModelDescription, _ shape: TransformerShape, weights: UnsafePointer<Float>
  ) throws(CorpusError) {
    try self.init(description, shape)
    self.weights.buffer.base.update(from: weights, count: shape.weights.count)
  }

  private init(_ description: ModelDescription, _ shape: TransformerShape) throws(CorpusError) {
    self.description = description
    self.shape = shape
    transformer = Transformer(shape: shape, kernels: try Kernels())
    diffusion = Diffusion(description.model)
    embedding = ScalarEmbedding(description.model)
    hidden = HiddenLayers.ofModel(description.architecture)
    weights = Weights(count: shape.weights.count)
  }

  /// Draws one network for each prompt; the same prompts and options give the same networks, with any number of workers.
  ///
  /// - Parameter progress: called with the number of networks drawn.
  /// - Returns: (P) each, as stored. Where the model was trained on canonical orders, their hidden units are in that of the
  ///   start.
  /// - Throws: `invalidArgument` for starts of another length and numbers that are none; `interrupted`.
  public func sample(
    _ prompts: [Prompt], options: SamplingOptions = SamplingOptions(), workers: Int = Workers.available,
    cancellation: Cancellation = Cancellation(), progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) -> [[Float]] {
    guard (1...shape.configuration.diffusionSteps).contains(options.steps) else {
      throw CorpusError(
        .invalidArgument, "\(options.steps) sampling steps cannot be",
        remedy: "ask for 1 to \(shape.configuration.diffusionSteps)")
    }
    for prompt in prompts {
      guard prompt.start.count == shape.parameterCount else {
        throw CorpusError(
          .invalidArgument,
          "a start has \(prompt.start.count) parameters, and the model writes networks of \(shape.parameterCount)",
          remedy: "start from networks of the architecture \(shape.architecture.name)")
      }
      guard prompt.startMetric.isFinite, prompt.targetMetric.isFinite else {
        throw CorpusError(
          .invalidArgument, "a prompt is no finite number", remedy: "prompt for a number")
      }
    }
    let team = Team(workers: workers)
    // Small groups where there are few, so that all threads have some; the same ones however many threads there are.
    let size = min(shape.samplingGroup, max(4, prompts.count / 8 * 4))
    let groups = stride(from: 0, to: prompts.count, by: size).map { $0..<min(prompts.count, $0 + size) }
    let memory = (0..<min(groups.count, workers)).map { _ in
      Activations(shape, examples: size, keepsGradients: false)
    }
    var results = [[Float]](repeating: [], count: prompts.count)
    for first in stride(from: 0, to: groups.count, by: max(1, memory.count)) {
      let wave = Array(groups[first..<min(groups.count, first + memory.count)])
      team.forEach(wave.count) { number in
        draw(prompts, wave[number], options, memory[number], cancellation)
      }
      try cancellation.check()
      for (number, group) in wave.enumerated() {
        for item in group {
          let network = memory[number].noised.base + (item - group.lowerBound) * shape.parameterCount
          results[item] = (0..<shape.parameterCount).map { network[$0] / description.scale }
        }
      }
      progress(wave[wave.count - 1].upperBound)
    }
    return results
  }

  /// Draws a group's networks: scaled, in place of the noise in `a.noised`.
  private func draw(
    _ prompts: [Prompt], _ group: Range<Int>, _ options: SamplingOptions, _ a: Activations,
    _ cancellation: Cancellation
  ) {
    let length = shape.parameterCount
    let all = 0..<group.count
    for (place, item) in group.enumerated() {
      begin(prompts[item], at: place, a)
      random(options.seed, pass: 0, item: item, to: a.noised.base + place * length)
    }
    transformer.begin(a, all)
    let transitions = diffusion.transitions(options.sampler, count: options.steps)
    for (pass, transition) in transitions.enumerated() {
      if cancellation.isCancelled { return }
      for place in all {
        embedding.embed(step: transition.step, to: a.scalars.base + place * a.scalars.stride)
      }
      transformer.predict(weights.buffer.base, a, all)
      let (count, noised, prediction) = (
        group.count * length, a.ordered.noised.base, a.ordered.prediction.base
      )
      transformer.functions.blend(
        count, transition.clean, prediction, transition.current, noised, noised)
      guard transition.noise > 0 else { continue }
      for (place, item) in group.enumerated() {
        random(options.seed, pass: pass + 1, item: item, to: a.prediction.base + place * length)
      }
      transformer.order(a.prediction, to: a.ordered.prediction, all)
      transformer.functions.blend(count, 1, noised, transition.noise, prediction, noised)
    }
    transformer.restore(a.ordered.noised, to: a.noised, all)
  }

  private func begin(_ prompt: Prompt, at place: Int, _ a: Activations) {
    let start = a.start.base + place * shape.parameterCount
    let kernels = transformer.kernels
    let permuter = UnitPermuter(
      hidden, parameterCount: shape.parameterCount, scale: description.scale, kernels: kernels)
    prompt.start.withUnsafeBufferPointer { parameters in
      guard let parameters = parameters.baseAddress else { return }
      let isCanonical =
        description.training.augmentation == PairStreamOptions.Augmentation.canonical.rawValue
      let order = isCanonical ? UnitOrder(hidden, kernels: kernels) : nil
      order?.canonicalize(parameters)
      permuter.copy(order, from: parameters, to: start)
    }
    embedding.embed(
      startMetric: prompt.startMetric, targetMetric: prompt.targetMetric,
      to: a.scalars.base + place * a.scalars.stride)
  }

  private func random(_ seed: UInt64, pass: Int, item: Int, to output: UnsafeMutablePointer<Float>) {
    transformer.kernels.functions.random_normal(
      seed, RandomPurpose.sample.stream(step: pass, item: item), 0, shape.parameterCount, output)
  }
}
