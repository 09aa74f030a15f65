public import Corpus

/// Samples that change step by step: walks through the noise that sampling begins with, and walks along the prompt.
/// Schemas/sample-views.md describes them in JSON.
public struct Walks: Codable, Sendable {
  public var metric: Metric
  public var drawn: Drawn
  /// From noise to noise by spherical interpolation, and back to the first in the end; start and prompt stay.
  public var noise: [Walk]
  /// From the start's own metric to the best prompt; start and noise stay.
  public var prompt: [Walk]

  /// From one start.
  public struct Walk: Codable, Sendable {
    /// The start's run and step; nil for a random network.
    public var run: Int64?
    public var step: Int?
    @Nullable public var startMetric: Float
    public var frames: [Frame]

    enum CodingKeys: String, CodingKey {
      case run, step, frames
      case startMetric = "start_metric"
    }
  }

  /// A sample.
  public struct Frame: Codable, Sendable {
    /// How far along the walk: 0 to 1.
    public var position: Float
    public var prompt: Float
    /// What the sample reaches, measured on its task.
    @Nullable public var metric: Float
    /// What is drawn of it: numbers of ``Drawn/shape``, as ``PackedNumbers/signed(_:limit:bits:)`` packs them.
    public var values: String
  }

  /// What is drawn of each sample.
  public struct Drawn: Codable, Sendable {
    public enum Kind: String, Codable, Sendable {
      /// Of a first convolution: (channels, colours, height, width).
      case filters
      /// Of a first layer over the pixels of an image: (units, height, width).
      case images
      /// Of a policy: what it does, (curves, points), over each of its inputs while the others are 0.
      case curves
      /// A tensor of any other network: (rows, columns).
      case matrix
    }
    public var kind: Kind
    /// The tensor's name; nil for curves.
    public var tensor: String?
    public var shape: [Int]
    /// The largest magnitude of all frames of all walks.
    public var limit: Float
    /// 8 or 16.
    public var bits: Int
    /// The inputs of the curves.
    public var inputs: [Input]?
  }

  /// What a curve goes over, evenly from `low` to `high`.
  public struct Input: Codable, Sendable {
    public var name: String
    public var unit: String
    public var low: Float
    public var high: Float
  }
}
