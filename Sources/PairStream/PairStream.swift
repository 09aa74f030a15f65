import NetworkSymmetry
public import Corpus
public import PairSampling
import VectorKernels
public import ShardStore

/// Batches of prompt pairs (starting parameters and metric, target parameters and metric) out of a corpus.
///
/// Which pair comes when depends on the seed, the epoch and the pair's index in it alone: not on the number of workers, nor
/// on that of the processes that share an epoch. So any process can start anywhere, and resuming needs only the epoch and
/// the number of batches in it that were used. Serves several threads; each batch goes to one of them.
public final class PairStream: Sendable {
  /// What a stream has done since it was opened.
  public struct Statistics: Sendable {
    public var items = 0
    /// Items that came from the cache.
    public var cached = 0
    /// Damaged items that others stand in for.
    public var replaced = 0
    /// Nanoseconds of all workers together, if the stream measures: finding and decoding, then permuting and scaling.
    public var decoding: UInt64 = 0
    public var permuting: UInt64 = 0
  }

  /// Where a stream stands between two batches.
  public struct Position: Hashable, Sendable {
    public var epoch: Int
    /// The number of this stream's batches before it in its epoch.
    public var batch: Int

    public init(epoch: Int, batch: Int) {
      self.epoch = epoch
      self.batch = batch
    }
  }

  /// The corpus; of a mixture, the first one.
  public let directory: CorpusDirectory
  /// The corpora, one unless it is a mixture; ``PairBatch/source`` counts them.
  public let directories: [CorpusDirectory]
  /// The options as given, with the augmentation that was chosen in the place of an automatic one.
  public let options: PairStreamOptions
  /// The metric of starts and targets.
  public let metric: Metric
  /// P: the length of a parameter vector.
  public let parameterCount: Int
  /// What parameters are multiplied by.
  public let scale: Float
  /// The runs that it draws from.
  public let runCount: Int
  /// What split and condition select and is not drawn from, of all corpora together.
  public let leftOut: LeftOut
  /// Items of an epoch, of all ranks together, those included that do not fill a last batch.
  public let itemsPerEpoch: Int
  /// Batches of an epoch that this stream gives; the items left over at the end of an epoch are not used.
  public let batchesPerEpoch: Int
  /// Names the sequence of items: of two streams with the same fingerprint, each can go on where the other stopped.
  public let fingerprint: String
  /// What is drawn otherwise than in the published sampling, in words; empty where nothing is.
  public let drawing: String
  private let producer: BatchProducer

  /// Opens a stream at the beginning of epoch 0.
  ///
  /// - Parameter isMeasuring: whether ``statistics`` has times.
  /// - Throws: `invalidArgument` for what cannot be, such as a metric that the corpus has not; `invalidSQL` for a
  ///   condition that SQLite does not accept; `emptySelection` if no run is left, or fewer items than a batch has;
  ///   `resource` if the environment variable `CORPUS_KERNELS` names kernels that this processor lacks.
  public convenience init(
    _ directory: CorpusDirectory, options: PairStreamOptions = PairStreamOptions(), isMeasuring: Bool = false
  ) throws(CorpusError) {
    try self.init(mixing: [(directory, 1)], options: options, isMeasuring: isMeasuring)
  }

  /// Opens a stream of several corpora of one architecture, which have parts of an epoch's items in given proportions.
  ///
  /// Options hold for each of them: conditions and weights of runs for its runs, a balance's range, where none is given,
  /// for what it has of it. The scale is common.
  ///
  /// - Parameters:
  ///   - corpora: with weights above 0 of any sum.
  ///   - isMeasuring: whether ``statistics`` has times.
  /// - Throws: as for a single corpus, and `invalidArgument` for corpora of different architectures, for one without
  ///   the metric, and where no scale is given and those of the corpora differ by more than a factor of 2.
  public init(
    mixing corpora: [WeightedCorpus], options: PairStreamOptions = PairStreamOptions(),
    isMeasuring: Bool = false
  ) throws(CorpusError) {
    try options.validate()
    var options = options
    options.augmentation = try Self.augmentation(options.augmentation, corpora)
    self.options = options
    let kernels = try Kernels()
    let sampler = try PairSampler(mixing: corpora, options, kernels)
    let sources = sampler.sources.map(\.corpus)
    directory = sources[0].directory
    directories = sources.map(\.directory)
    metric = directory.manifest.metrics[sources[0].metric]
    let hidden = HiddenLayers(directory.manifest.architecture)
    let parameterCount = directory.manifest.architecture.parameterCount
    self.parameterCount = parameterCount
    runCount = sampler.sources.reduce(0) { $0 + $1.runCount }
    leftOut = sources.reduce(LeftOut()) { $0 + $1.leftOut }
    itemsPerEpoch = sampler.itemsPerEpoch
    batchesPerEpoch = try Self.batches(itemsPerEpoch, options)
    scale = try Self.scale(sources, options, parameterCount)
    (drawing, fingerprint) = (sampler.drawing, sampler.fingerprint)
    let context = StreamContext(
      options: options, sampler: sampler,
      pools: sources.map { ShardPool($0.directory, table: $0.table, metric: $0.metric, index: $0.index) },
      caches: try sources.map { (source) throws(CorpusError) in
        try RunCache(
          options.cache, table: source.table, parameterCount: parameterCount, fingerprint: source.identity())
      },
      hidden: hidden,
      permuter: UnitPermuter(hidden, parameterCount: parameterCount, scale: scale, kernels: kernels),
      kernels: kernels, parameterCount: parameterCount)
    producer = try BatchProducer(context, batchesPerEpoch: batchesPerEpoch, isMeasuring: isMeasuring)
  }

  deinit { producer.stop() }

  /// Where the next batch is taken.
  public var position: Position {
    let (epoch, batch) = producer.position.quotientAndRemainder(dividingBy: batchesPerEpoch)
    return Position(epoch: epoch, batch: batch)
  }

  /// Goes on from any position.
  ///
  /// - Throws: `invalidArgument` for a position that no epoch has.
  public func seek(_ position: Position) throws(CorpusError) {
    guard position.epoch >= 0, position.epoch < 1 << 28, (0...batchesPerEpoch).contains(position.batch) else {
      throw CorpusError(
        .invalidArgument, "there is no batch \(position.batch) of epoch \(position.epoch)",
        remedy: "an epoch has \(batchesPerEpoch) batches")
    }
    producer.seek(position.epoch * batchesPerEpoch + position.batch)
  }

  /// The next batch; after the last one of an epoch, the first one of the next. Waits until it is there.
  ///
  /// - Throws: `interrupted` after ``cancel()``; `damagedShard`, naming the shard, at a checkpoint that cannot be
  ///   decoded, unless the options say to skip it.
  public func next() throws(CorpusError) -> PairBatch { try producer.next() }

  /// Ends all waiting in ``next()`` for good.
  public func cancel() { producer.cancel() }

  /// Cancels it and waits until its threads have ended, as letting it go does.
  public func stop() { producer.stop() }

  public var statistics: Statistics { producer.statistics }
}
