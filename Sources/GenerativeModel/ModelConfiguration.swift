public import Corpus
import PairStream

/// The shape of a G.pt and of its diffusion (reference-system.md, section 6): what a model file is unreadable without.
public struct ModelConfiguration: Hashable, Sendable, Codable {
  /// d: the floats of a token.
  public var width: Int
  /// Transformer blocks.
  public var layers: Int
  public var heads: Int
  public var tokens = TokenKind.chunks
  /// The most parameters of a chunk; nil for one a tensor, however long.
  public var chunk: Int?
  /// Frequencies of a scalar's embedding, from 1 to 2^14.
  public var frequencies = 128
  /// What the diffusion step and metrics are multiplied by before they are embedded; the published models have 1.
  public var stepScale: Float = 1
  public var metricScale: Float = 1
  /// Steps of the diffusion, its noise from `firstBeta` to `lastBeta`, linear.
  public var diffusionSteps = 1000
  public var firstBeta = 1e-4
  public var lastBeta = 0.02

  /// What a token of a parameter vector is.
  public enum TokenKind: String, Sendable, Codable {
    /// A chunk of a tensor, as in the published models; a start's and a target's are two.
    case chunks
    /// A hidden unit with its weights. All units of a layer share their encoders, and a start's and a target's are one.
    case units
  }

  enum CodingKeys: String, CodingKey {
    case width, layers, heads, tokens, chunk, frequencies
    case stepScale = "step_scale"
    case metricScale = "metric_scale"
    case diffusionSteps = "diffusion_steps"
    case firstBeta = "first_beta"
    case lastBeta = "last_beta"
  }

  public init(width: Int, layers: Int, heads: Int, chunk: Int? = nil) {
    self.width = width
    self.layers = layers
    self.heads = heads
    self.chunk = chunk
  }

  /// The floats of an embedded scalar: [sin(f x), cos(f x), x].
  public var scalarCount: Int { 2 * frequencies + 1 }

  /// - Throws: `invalidRecipe`, naming the first value that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try require((1...1 << 16).contains(width), "width is \(width)", "make it from 1 to 65536")
    try require((1...1024).contains(layers), "layers is \(layers)", "make it from 1 to 1024")
    try require(
      heads >= 1 && width.isMultiple(of: heads), "width \(width) is not a multiple of heads \(heads)",
      "make it one")
    if let chunk { try require(chunk >= 1, "chunk is \(chunk)", "make it at least 1, or leave it out") }
    try require((1...512).contains(frequencies), "frequencies is \(frequencies)", "make it from 1 to 512")
    for (name, scale) in [("step_scale", stepScale), ("metric_scale", metricScale)] {
      try require(scale.isFinite && scale != 0, "\(name) is \(scale)", "make it a finite number other than 0")
    }
    try require(
      (2...10_000).contains(diffusionSteps), "diffusion_steps is \(diffusionSteps)",
      "make it from 2 to 10000")
    try require(
      firstBeta > 0 && firstBeta <= lastBeta && lastBeta < 1, "betas go from \(firstBeta) to \(lastBeta)",
      "let them grow between 0 and 1")
  }
}

/// How a G.pt is trained.
public struct TrainingConfiguration: Hashable, Sendable, Codable {
  /// Pairs of an update.
  public var batch: Int
  public var learningRate: Float
  /// Updates from 0 to that rate, linear; then it falls to 0 by a half cosine.
  public var warmup: Int
  /// Updates in all.
  public var steps: Int
  public var beta1: Float = 0.9
  public var beta2: Float = 0.999
  /// Of the weights of linear layers alone.
  public var weightDecay: Float = 0.1
  /// The largest norm of the gradient; nil for any.
  public var gradientClip: Float?
  /// Of the moving average of the weights that is used for sampling; smaller in the first steps, (1 + t) / (10 + t).
  public var averageDecay: Float = 0.9999
  /// About so many checkpoints of each run are learned from, evenly spaced; nil for all.
  ///
  /// Of two among few, the first is often an initial network and the other far away, as in most prompts.
  public var checkpointsPerRun: Int?
  /// What is done to hidden units: `none`, `permute` or `canonical`; `automatic` for `permute` where the corpus declares
  /// permutation groups, and `none` elsewhere.
  public var augmentation = "automatic"
  public var seed: UInt64 = 0

  enum CodingKeys: String, CodingKey {
    case batch, warmup, steps, beta1, beta2, augmentation, seed
    case learningRate = "learning_rate"
    case weightDecay = "weight_decay"
    case gradientClip = "gradient_clip"
    case averageDecay = "average_decay"
    case checkpointsPerRun = "checkpoints_per_run"
  }

  public init(batch: Int, learningRate: Float, warmup: Int, steps: Int) {
    self.batch = batch
    self.learningRate = learningRate
    self.warmup = warmup
    self.steps = steps
  }

  /// - Throws: `invalidRecipe`, naming the first value that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    try require((1...1 << 20).contains(batch), "batch is \(batch)", "make it from 1 to 2^20")
    try require(
      learningRate > 0 && learningRate < 1, "learning_rate is \(learningRate)", "make it from 0 to 1")
    try require((0..<1 << 32).contains(steps), "steps is \(steps)", "make it at least 0 and below 2^32")
    try require(warmup >= 0, "warmup is \(warmup)", "make it at least 0 steps")
    try require((0..<1).contains(beta1) && (0..<1).contains(beta2), "a beta is not below 1", "make it so")
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "weight_decay is \(weightDecay)", "make it at least 0")
    if let gradientClip {
      try require(gradientClip > 0, "gradient_clip is \(gradientClip)", "make it above 0, or leave it out")
    }
    try require(
      (0..<1).contains(averageDecay), "average_decay is \(averageDecay)", "make it at least 0 and below 1")
    if let checkpointsPerRun {
      try require(
        checkpointsPerRun >= 2, "checkpoints_per_run is \(checkpointsPerRun)",
        "make it at least 2, or leave it out")
    }
    try require(
      PairStreamOptions.Augmentation(rawValue: augmentation) != nil, "augmentation is \(augmentation)",
      "make it one of " + PairStreamOptions.Augmentation.allCases.map(\.rawValue).joined(separator: ", "))
  }

  /// What the pairs' runs and checkpoints must be, in SQL.
  ///
  /// - Parameter own: a further condition on them.
  func condition(_ own: String?) -> String? {
    guard let checkpointsPerRun else { return own }
    let spaced = "step % max(1, checkpoints / \(checkpointsPerRun)) = 0"
    return own.map { "(\($0)) AND \(spaced)" } ?? spaced
  }

  /// The rate of update `step`, counted from 0.
  public func learningRate(at step: Int) -> Float {
    if step < warmup { return learningRate * Float(step + 1) / Float(warmup) }
    let progress = Double(step - warmup) / Double(max(1, steps - warmup))
    return Float(Double(learningRate) * cosineHalf(min(1, progress)))
  }

  /// The decay of the moving average at update `step`, counted from 0.
  public func averageDecay(at step: Int) -> Float { min(averageDecay, Float(1 + step) / Float(10 + step)) }
}

private func require(_ condition: Bool, _ message: String, _ remedy: String) throws(CorpusError) {
  guard condition else { throw CorpusError(.invalidRecipe, message, remedy: remedy) }
}
