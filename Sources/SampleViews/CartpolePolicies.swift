public import Corpus
public import Tasks

/// Policies that answer prompts, with all that it takes to let them act: Schemas/sample-views.md says how.
public struct CartpolePolicies: Codable, Sendable {
  public var metric: Metric
  /// The mechanism, its rewards and where episodes begin and end.
  public var environment: CartpolePhysics
  /// The units of the policies' layers, from the observation to the action's mean.
  public var layers: [Int]
  /// The environments of the evaluator, each of which counts with its first episode: `return` of all is the mean of these.
  public var episodes: Int
  /// The environments whose first episodes are the `short_return`, which a page can make again while somebody waits.
  public var shortEpisodes: Int
  /// Of the evaluator's random numbers.
  public var seed: UInt64
  public var starts: [Start]
  /// In the order of starts, then of prompts.
  public var policies: [Policy]

  /// A policy to start from.
  public struct Start: Codable, Sendable {
    /// Its run and step; nil for a random network.
    public var run: Int64?
    public var step: Int?
    @Nullable public var meanReturn: Float
    @Nullable public var shortReturn: Float
    /// Base64 of the (1,250) parameters, float32, little endian.
    public var parameters: String

    enum CodingKeys: String, CodingKey {
      case run, step, parameters
      case meanReturn = "return"
      case shortReturn = "short_return"
    }
  }

  /// What a start becomes by one update for a prompt.
  public struct Policy: Codable, Sendable {
    /// The index of its start.
    public var start: Int
    public var prompt: Float
    @Nullable public var meanReturn: Float
    @Nullable public var shortReturn: Float
    /// Base64 of the (1,250) parameters, float32, little endian.
    public var parameters: String

    enum CodingKeys: String, CodingKey {
      case start, prompt, parameters
      case meanReturn = "return"
      case shortReturn = "short_return"
    }
  }

  enum CodingKeys: String, CodingKey {
    case metric, environment, layers, episodes, seed, starts, policies
    case shortEpisodes = "short_episodes"
  }
}
