import CKernels
import Corpus

/// The sizes of a G.pt for an architecture, and where its weights lie.
struct TransformerShape: Sendable {
  let configuration: ModelConfiguration
  let architecture: Architecture
  let tokens: TokenLayout
  let weights: WeightLayout
  /// P.
  let parameterCount: Int

  /// Examples that one thread computes at a time. More of them where the weights are many, which each product arranges
  /// anew for its own use.
  var group: Int { width < 512 ? 16 : 32 }
  /// Likewise in sampling, where there is less to keep of each.
  var samplingGroup: Int { width < 512 ? 16 : 64 }

  /// The most tokens of an example.
  private static let tokenLimit = 4096

  /// - Throws: `invalidRecipe` if the architecture would be cut into too many tokens.
  init(_ configuration: ModelConfiguration, _ architecture: Architecture) throws(CorpusError) {
    self.configuration = configuration
    self.architecture = architecture
    let count = TokenLayout.count(configuration, architecture)
    guard count <= Self.tokenLimit else {
      throw CorpusError(
        .invalidRecipe, "networks of \(architecture.parameterCount) parameters would become \(count) tokens",
        remedy: configuration.tokens == .units
          ? "use chunks for tokens, for at most \(Self.tokenLimit)"
          : "make chunk larger, for at most \(Self.tokenLimit)")
    }
    tokens = TokenLayout(configuration, architecture)
    weights = WeightLayout(configuration, tokens)
    parameterCount = architecture.parameterCount
  }

  /// d.
  var width: Int { configuration.width }
  /// Floats of a head.
  var depth: Int { configuration.width / configuration.heads }

  private func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  /// Floats of a row of attention's probabilities: T, and what fills a vector.
  var across: Int { padded(tokens.count) }

  /// The tokens of an example that a block passes on: all, but the last one only those that are decoded, which come
  /// first.
  func passed(by layer: Int) -> Int {
    layer == configuration.layers - 1 ? tokens.outputs.count : tokens.count
  }

  /// Floats of the attention's probabilities of an example.
  var probabilities: Int { configuration.heads * tokens.count * across }
  /// Floats of working memory for attention: `CK_ATTENTION_SCRATCH`.
  var attentionScratch: Int { 12 * across * padded(max(tokens.count, depth)) + 64 }

  /// The groups of so many examples.
  func groups(of examples: Int) -> Int { (examples + group - 1) / group }

  /// Floating-point operations of the matrix products of one example's forward pass; a training step has three times
  /// as many.
  var operations: Double {
    let rows = Double(tokens.count)
    let blocks = (0..<configuration.layers).reduce(0.0) { sum, layer in
      let passed = Double(passed(by: layer))
      return sum + 2 * (3 * rows + 9 * passed) * Double(width * width) + 4 * rows * passed * Double(width)
    }
    let ends =
      2 * Double(width)
      * Double(3 * parameterCount + TokenLayout.scalars * configuration.scalarCount)
    return blocks + ends
  }
}
