public import Corpus

/// What a pair stream draws, and how.
public struct PairStreamOptions: Sendable {
  /// Which runs, by the split rule of the corpus.
  public enum Split: String, Sendable, CaseIterable {
    case train, test, all
  }

  /// What an item of a batch is.
  public enum Item: String, Sendable, CaseIterable {
    /// Two checkpoints of a run, the start before the target.
    case pairs
    /// One checkpoint.
    case checkpoints
  }

  /// In which order an epoch goes through the runs.
  public enum Order: String, Sendable, CaseIterable {
    /// Any run may follow any other: for fast disks and the page cache.
    case random
    /// Whole blocks of shards, read from front to back, in random order, and shuffled among each other: for disks
    /// and networks that hate seeks.
    case sequential
  }

  /// What is done to the hidden units of a network, the same to both members of a pair.
  ///
  /// Only what the corpus's architecture declares to be permutation groups moves; without any, the last two are refused.
  public enum Augmentation: String, Sendable, CaseIterable {
    case none
    /// A random permutation of the units of each group; it leaves the function unchanged.
    case permute
    /// The one order of the units that follows from the start parameters alone, whatever order they had.
    case canonical
    /// `permute` where permutation groups are declared, else `none`.
    case automatic
  }

  /// What parameters are multiplied by.
  public enum Scale: Sendable, Hashable {
    /// 0.538 / the standard deviation of all parameters of the selected runs (Schemas/reference.md, section 5).
    case corpus
    case factor(Float)
  }

  /// Where decoded runs are kept from one visit to the next.
  public enum Cache: Sendable, Hashable {
    case none
    /// In memory, at most so many bytes.
    case memory(bytes: Int)
    /// In a file, at most so many bytes of it; it serves later streams of the same runs, too.
    case disk(path: String, bytes: Int)
  }

  /// What happens when a checkpoint cannot be decoded.
  public enum Damage: String, Sendable, CaseIterable {
    /// The stream ends with the error, which names the shard.
    case stop
    /// Another run stands in for the damaged one, and ``PairStream/statistics`` counts it.
    case skip
  }

  /// The metric of starts and targets; nil for the last one of the corpus.
  public var metric: String?
  /// Items in a batch of this rank.
  public var batchSize = 1024
  public var seed: UInt64 = 0
  public var split = Split.train
  /// A SQL condition on the columns of `runs` and `checkpoints`; checkpoints that do not meet it do not occur.
  public var condition: String?
  public var statuses: Set<RunStatus> = [.ok]
  /// Whether checkpoints without a finite value of the metric may occur; a trainer would get it as it is.
  public var includesUnmeasured = false
  public var item = Item.pairs
  public var order = Order.random
  public var augmentation = Augmentation.automatic
  public var scale = Scale.corpus
  /// Threads that decode; nil for one a core.
  public var workers: Int?
  /// Batches that are made ahead of the one that is asked for.
  public var prefetch = 4
  public var cache = Cache.none
  /// Which part of every global batch this process gets: rank 0..<worldSize, each `batchSize` items.
  public var rank = 0
  public var worldSize = 1
  /// Which of this process's batches the stream gives: workerIndex, workerIndex + workerCount, …; for several streams
  /// that load for one process.
  public var workerIndex = 0
  public var workerCount = 1
  /// About how many items an epoch has: every run is visited equally often, and at least once. nil for the published
  /// number, 100,800, or 806,400 for Cartpole.
  public var itemsPerEpoch: Int?
  public var onDamage = Damage.stop
  /// How the metrics of targets (of single checkpoints: theirs) are spread.
  public var balance = Balance.none
  /// The part of the metric's range that targets are drawn from; nil for all that the selected runs have. It goes with
  /// a balance.
  public var balanceRange: ClosedRange<Float>?
  /// The fraction of pairs that start at the run's first checkpoint that may occur; nil for no more than come by chance.
  public var initialStarts: Double?
  public var directions = Directions.forward
  /// The fraction of pairs that want no change: their target is the start itself, or the checkpoint before or after it.
  public var unchanged = 0.0
  /// A SQL expression on the columns of `runs`, or on aggregates over a run's `checkpoints`: runs are visited in
  /// proportion to it. nil for all alike.
  public var runWeights: String?
  /// What changes with the epoch, in the order of their first epochs: an epoch obeys the last one that has begun.
  public var stages: [Stage] = []

  public init() {}

  /// How many checkpoints a run must have to be drawn from.
  var checkpointsNeeded: Int { item == .pairs ? 2 : 1 }

  /// - Throws: `invalidArgument`, naming the first option that cannot be and what it must be.
  package func validate() throws(CorpusError) {
    try require(
      batchSize >= 1 && batchSize <= 1 << 24, "the batch size is \(batchSize)", "make it from 1 to 2^24")
    try require(
      worldSize >= 1, "the world size is \(worldSize)", "make it the number of processes, at least 1")
    try require(
      rank >= 0 && rank < worldSize, "the rank is \(rank) of a world of \(worldSize)",
      "make it from 0 to \(worldSize - 1)")
    try require(
      workerCount >= 1 && workerIndex >= 0 && workerIndex < workerCount,
      "the share is \(workerIndex) of \(workerCount)",
      "make it from 0 to below the number of shares")
    try require(
      prefetch >= 1 && prefetch <= 1024, "the prefetch is \(prefetch)", "make it from 1 to 1024 batches")
    if let workers {
      try require((1...1024).contains(workers), "there are \(workers) workers", "use from 1 to 1024")
    }
    if let itemsPerEpoch {
      try require(itemsPerEpoch >= 1, "an epoch has \(itemsPerEpoch) items", "give it at least 1")
    }
    if case .factor(let factor) = scale {
      try require(
        factor.isFinite && factor != 0, "the scale is \(factor)", "make it a finite number other than 0")
    }
    try require(!statuses.isEmpty, "no status of runs is wanted", "name at least one, such as ok")
    try validateDrawing()
  }

  func require(_ condition: Bool, _ message: String, _ remedy: String) throws(CorpusError) {
    guard condition else { throw CorpusError(.invalidArgument, message, remedy: remedy) }
  }
}
