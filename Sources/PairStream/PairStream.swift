public import Corpus
import Foundation
import MetricIndex
import ShardStore

/// Batches of prompt pairs (starting parameters and metric, target parameters and metric) out of a corpus.
///
/// Which pair comes at which place depends on the seed, the epoch and the place alone: not on the number of workers, nor
/// on that of the processes that share an epoch. So any process can start anywhere, and resuming needs only the epoch and
/// the number of batches in it that were used. Serves several threads; each batch goes to one of them.
public final class PairStream: Sendable {
  /// What a stream has done since it was opened.
  public struct Statistics: Sendable {
    public var items = 0
    /// Items that came from the cache.
    public var cached = 0
    /// Damaged items that others took the place of.
    public var replaced = 0
    /// Nanoseconds of all workers together, if the stream measures: finding and decoding, then permuting and scaling.
    public var decoding: UInt64 = 0
    public var permuting: UInt64 = 0
  }

  /// A place between two batches.
  public struct Position: Hashable, Sendable {
    public var epoch: Int
    /// The number of this stream's batches before it in its epoch.
    public var batch: Int

    public init(epoch: Int, batch: Int) {
      self.epoch = epoch
      self.batch = batch
    }
  }

  public let directory: CorpusDirectory
  /// As given, but for an automatic augmentation: it is the one that was chosen.
  public let options: PairStreamOptions
  /// The metric of starts and targets.
  public let metric: Metric
  /// P.
  public let parameterCount: Int
  /// What parameters are multiplied by.
  public let scale: Float
  /// The runs that it draws from.
  public let runCount: Int
  /// Items of an epoch, of all ranks together, those included that do not fill a last batch.
  public let itemsPerEpoch: Int
  /// Batches of an epoch that this stream gives; the items left over at the end of an epoch are not used.
  public let batchesPerEpoch: Int
  /// Names the sequence of items: of two streams with the same fingerprint, each can go on where the other stopped.
  public let fingerprint: String
  private let producer: BatchProducer

  /// Opens a stream at the beginning of epoch 0.
  ///
  /// - Parameter isMeasuring: whether ``statistics`` has times.
  /// - Throws: `invalidArgument` for what cannot be, such as a metric that the corpus has not; `invalidSQL` for a
  ///   condition that SQLite does not accept; `emptySelection` if no run is left, or fewer items than a batch has.
  public init(
    _ directory: CorpusDirectory, options: PairStreamOptions = PairStreamOptions(), isMeasuring: Bool = false
  ) throws(CorpusError) {
    try options.validate()
    var options = options
    options.augmentation = try Self.augmentation(options.augmentation, directory)
    self.directory = directory
    self.options = options
    let manifest = directory.manifest
    let place = try Self.metricPlace(options.metric, directory)
    metric = manifest.metrics[place]
    parameterCount = manifest.architecture.parameterCount
    let hidden = HiddenLayers(manifest.architecture)
    let index = try IndexReader(opening: directory)
    let split = options.split == .all ? nil : options.split.rawValue
    let table = try index.runTable(split: split, statuses: options.statuses, condition: options.condition)
    let sampler = try Self.sampler(table, options, directory)
    runCount = sampler.runs.count
    itemsPerEpoch = sampler.itemsPerEpoch
    let batches = itemsPerEpoch / options.batchSize / options.worldSize
    guard batches > 0 else {
      throw CorpusError(
        .emptySelection,
        "an epoch has \(itemsPerEpoch) items, fewer than the \(options.batchSize * options.worldSize) of one batch"
          + (options.worldSize > 1 ? " of all \(options.worldSize) ranks" : ""),
        remedy: "choose a smaller batch size or more items per epoch")
    }
    batchesPerEpoch = (batches - options.share + options.shares - 1) / options.shares
    guard batchesPerEpoch > 0 else {
      throw CorpusError(
        .emptySelection, "nothing is left for share \(options.share) of an epoch's \(batches) batches",
        remedy: "make fewer shares")
    }
    scale = try Self.scale(table, options, parameterCount, directory)
    let identity = try Self.identity(manifest, table)
    fingerprint = try Self.fingerprint(identity, table, options, manifest.architecture)
    let context = StreamContext(
      options: options, sampler: sampler,
      pool: ShardPool(directory, table: table, metric: place, index: index),
      cache: try RunCache(
        options.cache, table: table, parameterCount: parameterCount,
        fingerprint: identity),
      hidden: hidden, permuter: UnitPermuter(hidden, parameterCount: parameterCount, scale: scale),
      parameterCount: parameterCount)
    producer = try BatchProducer(context, batchesPerEpoch: batchesPerEpoch, isMeasuring: isMeasuring)
  }

  deinit { producer.stop() }

  /// Where the next batch is taken.
  public var position: Position {
    let (epoch, batch) = producer.position.quotientAndRemainder(dividingBy: batchesPerEpoch)
    return Position(epoch: epoch, batch: batch)
  }

  /// Goes on from any place.
  ///
  /// - Throws: `invalidArgument` for a place that no epoch has.
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

  /// Likewise, and waits until its threads have ended, as letting it go does.
  public func stop() { producer.stop() }

  public var statistics: Statistics { producer.statistics }

  private static func metricPlace(_ name: String?, _ directory: CorpusDirectory) throws(CorpusError) -> Int {
    let metrics = directory.manifest.metrics
    guard let name else {
      guard !metrics.isEmpty else {
        throw CorpusError(
          .invalidArgument, "\(directory.path) has no metrics", remedy: "log one with the checkpoints")
      }
      return metrics.count - 1
    }
    guard let place = metrics.firstIndex(where: { $0.name == name }) else {
      throw CorpusError(
        .invalidArgument, "\(directory.path) has no metric \(name)",
        remedy: "choose one of " + metrics.map(\.name).joined(separator: ", "))
    }
    return place
  }

  /// The augmentation that is meant, if the corpus allows it.
  private static func augmentation(
    _ wanted: PairStreamOptions.Augmentation, _ directory: CorpusDirectory
  ) throws(CorpusError) -> PairStreamOptions.Augmentation {
    let groups = directory.manifest.architecture.permutations
    let isDeclared = groups.map { !$0.isEmpty } ?? false
    if wanted == .automatic { return isDeclared ? .permute : .none }
    guard wanted == .none || isDeclared else {
      throw CorpusError(
        .invalidArgument,
        "\(directory.path) \(groups == nil ? "does not say which" : "says that no") axes of the tensors of its "
          + "architecture \(directory.manifest.architecture.name) may be permuted together, and augmentation "
          + "\(wanted.rawValue) could change what the networks compute",
        remedy: "choose augmentation none, or declare permutation groups: Python's Writer derives them from a module "
          + "and example_input, or takes them as permutations; Schemas/corpus.md describes them")
    }
    return wanted
  }

  /// The published numbers of items in an epoch.
  package static func defaultItems(_ task: String) -> Int { task == "cartpole" ? 806_400 : 100_800 }

  private static func sampler(
    _ table: RunTable, _ options: PairStreamOptions, _ directory: CorpusDirectory
  ) throws(CorpusError) -> PairSampler {
    let empty = PairSampler(
      table: table, runs: [], visits: 1, seed: options.seed, item: options.item, stretches: nil)
    let needed = options.item == .pairs ? 2 : 1
    let runs = table.rows.indices.filter { empty.eligible($0) >= needed }.map { Int32($0) }
    guard !runs.isEmpty else {
      let condition = options.condition.map { " that meet \"\($0)\"" } ?? ""
      throw CorpusError(
        .emptySelection,
        "\(directory.path) has no runs in split \(options.split.rawValue) with at least \(needed) "
          + "checkpoint\(needed == 1 ? "" : "s")\(condition)",
        remedy: "look at its runs with `corpus query \(directory.path) \"SELECT * FROM runs\"`")
    }
    let visits = max(1, (options.itemsPerEpoch ?? defaultItems(directory.manifest.task)) / runs.count)
    guard runs.count * visits < 1 << 32 else {
      throw CorpusError(.invalidArgument, "an epoch has more than 2^32 items", remedy: "ask for fewer")
    }
    return PairSampler(
      table: table, runs: runs, visits: visits, seed: options.seed, item: options.item,
      stretches: options.order == .sequential ? Stretches(table, runs: runs) : nil)
  }

  /// The published deviation of scaled parameters.
  private static let deviation = 0.538

  private static func scale(
    _ table: RunTable, _ options: PairStreamOptions, _ parameterCount: Int, _ directory: CorpusDirectory
  ) throws(CorpusError) -> Float {
    if case .factor(let factor) = options.scale { return factor }
    let count = Double(table.checkpoints) * Double(parameterCount)
    let mean = table.sum / count
    let variance = table.sumOfSquares / count - mean * mean
    guard variance > 0, variance.isFinite else {
      throw CorpusError(
        .invalidArgument, "the parameters in \(directory.path) have no finite deviation to scale by",
        remedy: "give the scale as a number")
    }
    return Float(deviation / variance.squareRoot())
  }

  /// Names the contents of the selected runs.
  private static func identity(_ manifest: Manifest, _ table: RunTable) throws(CorpusError) -> String {
    var hash = try SHA256()
    hash.update(Array(try CanonicalJSON.string([manifest.recipe, .string(manifest.task)]).utf8))
    hash.update(Array(try manifest.architecture.text().utf8))
    hash.update(table.digest)
    return ContentHash(bytes: hash.finish()).description
  }

  private static func fingerprint(
    _ identity: String, _ table: RunTable, _ options: PairStreamOptions, _ architecture: Architecture
  ) throws(CorpusError) -> String {
    var hash = try SHA256()
    hash.update(Array(identity.utf8))
    hash.update(table.steps ?? [])
    let parts = [
      "\(options.seed)", options.item.rawValue, options.order.rawValue, options.augmentation.rawValue,
      "\(options.itemsPerEpoch ?? 0)",
    ]
    hash.update(Array(parts.joined(separator: " ").utf8))
    // Those of the built-in networks were the same before they were declared.
    if options.augmentation != .none, !architecture.isKnown {
      hash.update(Array(try CanonicalJSON.string(architecture.permutations).utf8))
    }
    return ContentHash(bytes: hash.finish()).description
  }
}
