import CKernels
package import Corpus

/// The sizes of a G.pt for an architecture, and where its weights lie.
package struct TransformerShape: Sendable {
  package let configuration: ModelConfiguration
  package let architecture: Architecture
  let tokens: TokenLayout
  package let weights: WeightLayout
  /// P: the parameters of a network.
  package let parameterCount: Int

  /// Examples that one thread computes at a time. More of them where the weights are many, which each product arranges
  /// anew for its own use.
  package var group: Int { width < 512 ? 16 : 32 }
  /// Examples that one thread samples at a time: more than in training, as there is less to keep of each.
  var samplingGroup: Int { width < 512 ? 16 : 64 }

  /// The most tokens of an example.
  private static let tokenLimit = 4096

  /// - Throws: `invalidRecipe` if the architecture would be cut into too many tokens.
  package init(_ configuration: ModelConfiguration, _ architecture: Architecture) throws(CorpusError) {
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

  /// d: the floats of a token.
  var width: Int { configuration.width }
  /// The floats of a token that are one head's.
  var depth: Int { configuration.width / configuration.heads }

  /// Floats of a row of attention's probabilities: T, and what fills a vector.
  var across: Int { ck_padded(tokens.count) }

  /// The tokens of an example that a block passes on: all, but the last one only those that are decoded, which come
  /// first.
  func queries(of layer: Int) -> Int {
    layer == configuration.layers - 1 ? tokens.outputs.count : tokens.count
  }

  /// Floats of the attention's probabilities of an example.
  var probabilities: Int { configuration.heads * tokens.count * across }
  /// Floats of working memory for attention.
  var attentionScratch: Int { ck_attention_scratch(tokens.count, depth) }

  /// The groups of so many examples.
  package func groups(of examples: Int) -> Int { (examples + group - 1) / group }
}
