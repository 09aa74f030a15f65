public import Corpus

/// A run that was stored anew.
public struct RepairedRun: Hashable, Sendable {
  /// What a run that was made again was proven equal to.
  public enum Proof: String, Sendable, CaseIterable {
    case shard = "the hash recorded in its shard"
    case index = "the hash recorded in the index"
    /// The stored checkpoints and metrics were whole, and what was recorded of them was not.
    case contents = "its stored checkpoints, of which only the record was damaged"
  }

  public let run: Int64
  /// The shard in which it is now, relative to the corpus.
  public let file: String
  /// What was wrong with what was there; no full stop.
  public let damage: String
  /// All records that it was proven equal to; empty where none was left.
  public let proofs: [Proof]
  /// Where the damaged file is kept, relative to the corpus; nil where it went.
  public let kept: String?
}

/// A shard that was stored anew though all its runs were whole.
public struct RepairedShard: Hashable, Sendable {
  public let file: String
  /// What was wrong with it.
  public let damage: String
}

/// What a repair did.
public struct RepairReport: Sendable {
  public var runs: [RepairedRun] = []
  public var shards: [RepairedShard] = []
  /// What was wrong with the index, if it was made anew.
  public var index: CorpusError?
  /// What could not be repaired, and is as it was.
  public var problems: [CorpusError] = []
}

/// What happens in a repair, as it happens.
public enum RepairEvent: Sendable {
  /// So many of so many shards have been read.
  case examined(Int, of: Int)
  /// So many of so many runs have been made again.
  case made(Int, of: Int)
  case repaired(RepairedRun)
  case rewritten(RepairedShard)
}
