public import Platform
import NetworkSymmetry
import CKernels
public import Corpus
import PairSampling
import VectorKernels

/// What a model is asked: a network to start from, and the metric that it should reach in one step.
public struct Prompt: Sendable {
  /// The network to start from: (P), as stored.
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
public final class Sampler: @unchecked Sendable {
  // Sendable because nothing changes after the initializer.
  public let description: ModelDescription
  private let shape: TransformerShape
  private let transformer: Transformer
  private let diffusion: Diffusion
  private let embedding: ScalarEmbedding
  private let hidden: HiddenLayers
  /// (``WeightLayout/count``).
  private let weights: AlignedBuffer<Float>

  /// Opens a stored model.
  ///
  /// - Throws: `malformedModel` or `unsupportedVersion`.
  public convenience init(opening directory: ModelDirectory) throws(CorpusError) {
    let description = try directory.description()
    let shape = try TransformerShape(description.model, description.architecture)
    // Known to be there, and of these shapes, before memory is taken for them.
    let file = try directory.weights(shape.weights)
    try self.init(description, shape)
    try shape.weights.read(of: file, into: weights.base)
  }

  /// A model of these weights: (``WeightLayout/count``).
  package convenience init(
    _ description: ModelDescription, _ shape: TransformerShape, weights: UnsafePointer<Float>
  ) throws(CorpusError) {
    try self.init(description, shape)
    self.weights.base.update(from: weights, count: shape.weights.count)
  }

  private init(_ description: ModelDescription, _ shape: TransformerShape) throws(CorpusError) {
    self.description = description
    self.shape = shape
    transformer = Transformer(shape: shape, kernels: try Kernels())
    diffusion = Diffusion(description.model)
    embedding = ScalarEmbedding(description.model)
    hidden = HiddenLayers.ofModel(description.architecture)
    weights = AlignedBuffer(count: shape.weights.count)
  }

  /// Draws one network for each prompt; the same prompts and options give the same networks, with any number of workers.
  ///
  /// - Parameters:
  ///   - noise: what each sample begins with; nil for a draft of its own, 0, 1, 2, …
  ///   - progress: called with the number of networks drawn.
  /// - Returns: (P) each, as stored. Where the model was trained on canonical orders, their hidden units are in that of the
  ///   start.
  /// - Throws: `invalidArgument` for starts of another length and numbers that are none; `interrupted`.
  public func sample(
    _ prompts: [Prompt], noise: [SamplingNoise]? = nil, options: SamplingOptions = SamplingOptions(),
    workers: Int = Workers.available, cancellation: Cancellation = Cancellation(),
    progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) -> [[Float]] {
    let noise = noise ?? prompts.indices.map { SamplingNoise($0) }
    precondition(noise.count == prompts.count, "noise for every prompt")
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
    // Small groups where there are few, so that all threads have some; the same ones however many threads there are.
    let size = min(shape.samplingGroup, max(4, prompts.count / 8 * 4))
    let groups = stride(from: 0, to: prompts.count, by: size).map { $0..<min(prompts.count, $0 + size) }
    let memory = (0..<min(groups.count, workers)).map { _ in
      ActivationMemory(shape, capacity: size, keepsGradients: false)
    }
    var networks: [[Float]] = []
    for first in stride(from: 0, to: groups.count, by: max(1, memory.count)) {
      let wave = zip(groups[first...], memory).map { (group: $0, activations: $1[0..<$0.count]) }
      ThreadPool(workers: workers).forEach(wave.count) {
        draw(prompts, noise, wave[$0].group, options, wave[$0].activations, cancellation)
      }
      try cancellation.check()
      for (group, activations) in wave {
        networks += (0..<group.count).map { example in
          let network = activations.parameters.xT.row(example)
          return (0..<shape.parameterCount).map { network[$0] / description.scale }
        }
      }
      progress(networks.count)
    }
    return networks
  }

  /// Draws a group's networks, scaled, into `a.parameters.xT`.
  private func draw(
    _ prompts: [Prompt], _ drafts: [SamplingNoise], _ group: Range<Int>, _ options: SamplingOptions,
    _ a: Activations, _ cancellation: Cancellation
  ) {
    for (example, item) in group.enumerated() { write(prompts[item], to: example, of: a) }
    transformer.denoise(
      weights.base, a, embedding,
      by: diffusion.transitions(options.sampler, count: options.steps),
      isCancelled: { cancellation.isCancelled },
      noise: { pass, example, output in
        drafts[group.lowerBound + example].write(
          pass: pass, seed: options.seed, count: shape.parameterCount, kernels: transformer.kernels,
          to: output)
      })
  }

  private func write(_ prompt: Prompt, to example: Int, of a: Activations) {
    let kernels = transformer.kernels
    let permuter = UnitPermuter(
      hidden, parameterCount: shape.parameterCount, scale: description.scale, kernels: kernels)
    prompt.start.withUnsafeBufferPointer { parameters in
      guard let parameters = parameters.baseAddress else { return }
      let isCanonical =
        description.training.augmentation == PairStreamOptions.Augmentation.canonical.rawValue
      let order = isCanonical ? UnitOrder(hidden, kernels: kernels) : nil
      order?.canonicalize(parameters)
      permuter.copy(order, from: parameters, to: a.parameters.start.row(example))
    }
    embedding.embed(
      startMetric: prompt.startMetric, targetMetric: prompt.targetMetric, to: a.scalars.row(example))
  }
}
