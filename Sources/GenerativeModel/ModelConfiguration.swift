public import Corpus

/// The shape of a G.pt and of its diffusion (Schemas/reference.md, section 6): what a model file is unreadable without.
public struct ModelConfiguration: Hashable, Sendable, Codable {
  /// d: the floats of a token.
  public var width: Int
  /// Transformer blocks.
  public var layers: Int
  public var heads: Int
  public var tokens = TokenKind.chunks
  /// The most parameters of a chunk; nil for one a tensor, however long.
  public var chunk: Int?
  /// Frequencies of a scalar's embedding, from 1 to 2^``octaves``.
  public var frequencies = 128
  /// The published models have 14, which tells numbers apart that differ by 1e-4. With few, the prediction is a smooth
  /// function of the metric.
  public var octaves = 14.0
  /// What the timestep is multiplied by before it is embedded; the published models have 1.
  public var stepScale: Float = 1
  /// What metrics are multiplied by before they are embedded; the published models have 1.
  public var metricScale: Float = 1
  /// The timesteps of the diffusion, whose noise grows linearly from `firstBeta` to `lastBeta`.
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
    case width, layers, heads, tokens, chunk, frequencies, octaves
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
    try require((0...14).contains(octaves), "octaves is \(octaves)", "make it from 0 to 14")
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

func require(_ condition: Bool, _ message: String, _ remedy: String) throws(CorpusError) {
  guard condition else { throw CorpusError(.invalidRecipe, message, remedy: remedy) }
}
