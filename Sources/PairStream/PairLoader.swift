import Platform
import NetworkSymmetry
internal import CKernels
import Corpus
import PairSampling
import Glibc
import MetricIndex
import ShardStore
import VectorKernels

/// What all threads of a stream share and nobody changes.
struct StreamContext: Sendable {
  let options: PairStreamOptions
  let sampler: PairSampler
  /// Of each corpus that is mixed.
  let pools: [ShardPool]
  let caches: [RunCache?]
  let hidden: HiddenLayers
  let permuter: UnitPermuter
  let kernels: Kernels
  let parameterCount: Int

  /// Whether batches are written past the caches, as those that wait are more than they hold.
  var isPastCaches: Bool {
    let vectors = options.prefetch * options.batchSize * (options.item == .pairs ? 2 : 1)
    return vectors * parameterCount * MemoryLayout<Float>.stride > Self.cachedBytes
  }

  /// About what a core has of the caches.
  private static let cachedBytes = 16 << 20
}

/// Brings items into batches: finds, decodes, permutes and scales. Serves one thread.
struct PairLoader: ~Copyable {
  private let context: StreamContext
  private let isMeasuring: Bool
  private let isPastCaches: Bool
  /// Of each corpus that is mixed.
  private let finders: [RunFinder]
  private var decoder: DecoderBox?
  private let order: UnitOrder
  /// Two decoded parameter vectors.
  private let scratch: AlignedBuffer<Float>
  /// Floats from one of them to the next.
  private let stride: Int
  private var statistics = PairStream.Statistics()

  init(_ context: StreamContext, isMeasuring: Bool) {
    self.context = context
    self.isMeasuring = isMeasuring
    isPastCaches = context.isPastCaches
    finders = zip(context.sampler.sources, context.pools).map { RunFinder($0.corpus.table, pool: $1) }
    order = UnitOrder(context.hidden, kernels: context.kernels)
    stride = paddedToVectors(context.parameterCount)
    scratch = AlignedBuffer(count: 2 * stride)
  }

  /// A decoder, which cannot be copied, in a variable that can be nil.
  private final class DecoderBox {
    var decoder: CheckpointDecoder

    init(_ layout: ChunkLayout) throws(CorpusError) { decoder = try CheckpointDecoder(layout) }
  }

  /// What it has done since this was asked last.
  mutating func takeStatistics() -> PairStream.Statistics {
    defer { statistics = PairStream.Statistics() }
    return statistics
  }

  /// Loads items into a batch.
  ///
  /// - Returns: how many damaged items were tried before those that are now there.
  mutating func load(_ items: Range<Int>, of batch: PairBatch, in epoch: Epoch) throws(CorpusError) -> Int {
    var replaced = 0
    var ahead: Located?
    // Whose turn it is after the next item: only asked for where draws depend on metrics, to have them come.
    var turn =
      epoch.isBalanced && items.count > 1 ? approach(batch.firstItem + items.lowerBound + 1, epoch) : nil
    for item in items {
      let number = batch.firstItem + item
      let here = ahead
      ahead = nil
      if item + 1 < items.upperBound {
        let next = turn ?? epoch.turn(ofItem: number + 1)
        if turn != nil, item + 2 < items.upperBound { turn = approach(number + 2, epoch) }
        // What is wrong with the next item is told when its turn comes.
        ahead = try? locate(next, number + 1, of: epoch)
      }
      if let ahead { fetch(ahead) }
      replaced += try load(here, number, of: epoch, to: item, in: batch.writable)
    }
    return replaced
  }

  /// Asks far memory for the metrics of the run whose turn it is at an item.
  private func approach(_ number: Int, _ epoch: Epoch) -> Epoch.Turn {
    let turn = epoch.turn(ofItem: number)
    if let found = try? finders[turn.source].find(epoch.runIndex(turn)) {
      let metrics = UnsafeRawBufferPointer(found.shard.metrics(of: found.location))
      if let base = metrics.baseAddress { ck_fetch(base, min(metrics.count, Self.fetchBytes)) }
    }
    return turn
  }

  /// An item, and where its run lies.
  private struct Located {
    let draw: PairDraw
    let shard: MappedShard
    let stored: MappedShard.Place

    var rows: (start: Int, target: Int) {
      (stored.firstRow + Int(draw.start), stored.firstRow + Int(draw.target))
    }
  }

  /// Draws an item, or at a later attempt one that stands in for it, and finds its run.
  private func locate(
    _ turn: Epoch.Turn?, _ number: Int, of epoch: Epoch, attempt: Int = 0
  ) throws(CorpusError) -> Located {
    let turn = turn ?? epoch.turn(ofItem: number)
    let finder = finders[turn.source]
    let draw = try epoch.draw(turn, item: number, attempt: attempt, finder: finder)
    let (shard, stored) = try finder.find(draw.runIndex)
    return Located(draw: draw, shard: shard, stored: stored)
  }

  /// Asks far memory for an item: it takes longer to answer than the processor takes over the item before.
  private func fetch(_ item: Located) {
    for (step, row) in [(item.draw.start, item.rows.start), (item.draw.target, item.rows.target)] {
      var bytes = item.shard.beginning(ofRow: row)
      if let cache = context.caches[item.draw.source], cache.holds(item.draw.runIndex) {
        bytes = cache.bytes(item.draw.runIndex, Int(step))
      }
      if let base = bytes.baseAddress { ck_fetch(base, min(bytes.count, Self.fetchBytes)) }
    }
  }

  /// What the nearer memory holds beside the item in work.
  private static let fetchBytes = 32_768

  private mutating func load(
    _ located: Located?, _ number: Int, of epoch: Epoch, to item: Int, in batch: BatchMemory
  ) throws(CorpusError) -> Int {
    var located = located
    var attempts = 0
    while true {
      do throws(CorpusError) {
        let found = if let located { located } else { try locate(nil, number, of: epoch, attempt: attempts) }
        try load(found, number, epoch, to: item, in: batch)
        statistics.items += 1
        return attempts
      } catch  where context.options.onDamage == .skip && error.code == .damagedShard {
        guard attempts < PairSampler.Purpose.replacements else { throw error }
        located = nil
        attempts += 1
      }
    }
  }

  private mutating func load(
    _ located: Located, _ number: Int, _ epoch: Epoch, to item: Int, in batch: BatchMemory
  ) throws(CorpusError) {
    let began = now()
    let isPair = context.options.item == .pairs
    let (start, target, origin) = try values(located, isPair)
    let decoded = now()
    let count = context.parameterCount
    switch context.options.augmentation {
    case .none, .automatic: break
    case .permute: order.shuffle(seed: epoch.sampler.seed, stream: epoch.augmentation(ofItem: number))
    case .canonical: order.canonicalize(start)
    }
    let applied = context.options.augmentation == .none ? nil : order
    context.permuter.copy(
      applied, from: start, to: batch.start + item * count, isPastCaches: isPastCaches)
    if isPair, let targets = batch.target {
      context.permuter.copy(
        applied, from: target, to: targets + item * count, isPastCaches: isPastCaches)
    }
    if origin != .memory, Self.endsInZero(start, count) || Self.endsInZero(target, count) {
      // So do all who lie behind a file's end in its last page.
      if origin == .shard { try located.shard.requireUnchanged() }
      if origin == .cache, let cache = context.caches[located.draw.source],
        !cache.isIntact(located.draw.runIndex, (Int(located.draw.start), Int(located.draw.target)))
      {
        return try load(located, number, epoch, to: item, in: batch)
      }
    }
    if FileMapping.isAnyTorn {
      // What was copied may have been zeros.
      try located.shard.requireWhole()
      if let cache = context.caches[located.draw.source], cache.isTorn, cache.holds(located.draw.runIndex) {
        cache.abandon()
        return try load(located, number, epoch, to: item, in: batch)
      }
    }
    batch.startMetric[item] = located.shard.metric(row: located.rows.start)
    batch.targetMetric[item] = located.shard.metric(row: located.rows.target)
    batch.run[item] = located.stored.run
    batch.startStep[item] = located.draw.start
    batch.targetStep[item] = located.draw.target
    batch.source[item] = Int32(located.draw.source)
    statistics.decoding += decoded - began
    statistics.permuting += now() - decoded
  }

  /// The last byte of some floats, in memory in which numbers are little endian.
  private static func endsInZero(_ values: UnsafePointer<Float>, _ count: Int) -> Bool {
    values[count - 1].bitPattern >> 24 == 0
  }

  /// Where parameters are: decoded in the scratch memory, in the shard itself, or in the cache.
  private enum Origin { case memory, shard, cache }

  /// Finds the parameters of an item, or decodes them.
  private mutating func values(
    _ item: Located, _ isPair: Bool
  ) throws(CorpusError) -> (start: UnsafePointer<Float>, target: UnsafePointer<Float>, origin: Origin) {
    let (draw, shard, rows) = (item.draw, item.shard, item.rows)
    if let start = try shard.rawValues(row: rows.start), let target = try shard.rawValues(row: rows.target) {
      return (start, target, .shard)
    }
    if let cache = context.caches[draw.source] {
      if !cache.holds(draw.runIndex) { try fill(cache, draw.runIndex, shard, item.stored) }
      if let found = cache.find(draw.runIndex, (Int(draw.start), Int(draw.target))) {
        statistics.cached += 1
        return (found.0, found.1, .cache)
      }
    }
    let decoder = try decoder(for: shard)
    let (first, second) = (scratch.base, scratch.base + stride)
    if isPair {
      try decoder.decoder.decode(rows: rows, of: shard, into: (first, second))
    } else {
      try decoder.decoder.decode(row: rows.start, of: shard, into: first)
    }
    return (UnsafePointer(first), UnsafePointer(isPair ? second : first), .memory)
  }

  private mutating func fill(
    _ cache: RunCache, _ run: Int, _ shard: MappedShard, _ stored: MappedShard.Place
  ) throws(CorpusError) {
    let decoder = try decoder(for: shard)
    try cache.fill(run) { (values) throws(CorpusError) in
      try decoder.decoder.decode(
        rows: stored.firstRow..<(stored.firstRow + stored.count), of: shard, into: values)
    }
  }

  private mutating func decoder(for shard: MappedShard) throws(CorpusError) -> DecoderBox {
    if let decoder, decoder.decoder.layout == shard.layout { return decoder }
    let made = try DecoderBox(shard.layout)
    decoder = made
    return made
  }

  /// Nanoseconds, or 0 where nobody wants to know.
  private func now() -> UInt64 {
    guard isMeasuring else { return 0 }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
