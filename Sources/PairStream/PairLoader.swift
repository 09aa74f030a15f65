import Platform
import NetworkSymmetry
internal import CKernels
import Corpus
import PairSampling
import Glibc
import ShardStore
import VectorKernels

/// What all threads of a stream share and nobody changes.
struct StreamContext: Sendable {
  let options: PairStreamOptions
  let sampler: PairSampler
  /// The shards of each corpus that is mixed.
  let pools: [ShardPool]
  let caches: [RunCache?]
  let hidden: HiddenLayers
  let permuter: UnitPermuter
  let kernels: Kernels
  let parameterCount: Int
}

/// Brings items into batches: finds, decodes, permutes and scales. Serves one thread.
struct PairLoader: ~Copyable {
  private let context: StreamContext
  private let isMeasuring: Bool
  /// Whether batches are written past the caches, as those that wait are more than they hold.
  private let isPastCaches: Bool
  /// What finds the runs of each corpus that is mixed.
  private let finders: [RunFinder]
  /// The decoder for the layout of the shard that was decoded last.
  private var decoder: CheckpointDecoder?
  private let order: UnitOrder
  /// Two decoded parameter vectors.
  private let scratch: AlignedBuffer<Float>
  /// Floats from one of them to the next.
  private let stride: Int
  private var statistics = PairStream.Statistics()

  init(_ context: StreamContext, isMeasuring: Bool) {
    self.context = context
    self.isMeasuring = isMeasuring
    let options = context.options
    let vectors = options.prefetch * options.batchSize * (options.item == .pairs ? 2 : 1)
    isPastCaches = vectors * context.parameterCount * MemoryLayout<Float>.stride > Self.cachedBytes
    finders = zip(context.sampler.sources, context.pools).map { RunFinder($0.corpus.table, pool: $1) }
    order = UnitOrder(context.hidden, kernels: context.kernels)
    stride = ck_padded(context.parameterCount)
    scratch = AlignedBuffer(count: 2 * stride)
  }

  /// About what a core has of the caches.
  private static let cachedBytes = 16 << 20

  /// What it has done since this was asked last.
  mutating func takeStatistics() -> PairStream.Statistics {
    defer { statistics = PairStream.Statistics() }
    return statistics
  }

  /// Loads items into rows of a batch.
  mutating func load(_ rows: Range<Int>, of batch: PairBatch, in epoch: Epoch) throws(CorpusError) {
    var ahead: LocatedItem?
    // Whose turn it is after the next item: only asked for where draws depend on metrics, to have them come.
    var turn =
      epoch.isBalanced && rows.count > 1
      ? prefetchMetrics(ofItem: batch.firstItem + rows.lowerBound + 1, epoch) : nil
    for row in rows {
      let item = batch.firstItem + row
      let here = ahead
      ahead = nil
      if row + 1 < rows.upperBound {
        let next = turn ?? epoch.turn(ofItem: item + 1)
        if turn != nil, row + 2 < rows.upperBound { turn = prefetchMetrics(ofItem: item + 2, epoch) }
        // What is wrong with the next item is told when its turn comes.
        ahead = try? locate(item + 1, next, of: epoch)
      }
      if let ahead { prefetchParameters(of: ahead) }
      try writeOrReplace(item, here, of: epoch, to: row, in: batch.writable)
    }
  }

  /// Asks far memory for the metrics of the run whose turn it is at an item.
  private func prefetchMetrics(ofItem item: Int, _ epoch: Epoch) -> Epoch.Turn {
    let turn = epoch.turn(ofItem: item)
    if let found = try? finders[turn.source].find(epoch.runIndex(turn)) {
      let metrics = UnsafeRawBufferPointer(found.shard.metrics(of: found.location))
      if let base = metrics.baseAddress { ck_fetch(base, min(metrics.count, Self.prefetchedBytes)) }
    }
    return turn
  }

  /// An item that was drawn, and where its run lies.
  private struct LocatedItem {
    /// The corpus's index among those that are mixed.
    let source: Int
    let draw: PairDraw
    let shard: MappedShard
    let location: MappedShard.Location

    var rows: (start: Int, target: Int) {
      (location.firstRow + Int(draw.start), location.firstRow + Int(draw.target))
    }
  }

  /// Draws an item, or at a later attempt one that stands in for it, and finds its run.
  private func locate(
    _ item: Int, _ turn: Epoch.Turn, of epoch: Epoch, attempt: Int = 0
  ) throws(CorpusError) -> LocatedItem {
    let finder = finders[turn.source]
    let draw = try epoch.draw(turn, item: item, attempt: attempt, finder: finder)
    let (shard, location) = try finder.find(draw.runIndex)
    return LocatedItem(source: turn.source, draw: draw, shard: shard, location: location)
  }

  /// Asks far memory for an item: it takes longer to answer than the processor takes over the item before.
  private func prefetchParameters(of item: LocatedItem) {
    for (step, row) in [(item.draw.start, item.rows.start), (item.draw.target, item.rows.target)] {
      var bytes = item.shard.beginning(ofRow: row)
      if let cache = context.caches[item.source], cache.holds(item.draw.runIndex) {
        bytes = cache.bytes(item.draw.runIndex, Int(step))
      }
      if let base = bytes.baseAddress { ck_fetch(base, min(bytes.count, Self.prefetchedBytes)) }
    }
  }

  /// What the nearer memory holds beside the item in work.
  private static let prefetchedBytes = 32_768

  /// Writes an item, located or not, into a row of a batch; if it is damaged, and that is wanted, another one.
  private mutating func writeOrReplace(
    _ item: Int, _ located: LocatedItem?, of epoch: Epoch, to row: Int, in batch: BatchMemory
  ) throws(CorpusError) {
    var located = located
    var attempts = 0
    while true {
      do throws(CorpusError) {
        let found =
          if let located { located } else {
            try locate(item, epoch.turn(ofItem: item), of: epoch, attempt: attempts)
          }
        try write(found, item, of: epoch, to: row, in: batch)
        statistics.items += 1
        statistics.replaced += attempts
        return
      } catch  where context.options.onDamage == .skip && error.code == .damagedShard {
        guard attempts < PairSampler.Purpose.replacements else { throw error }
        located = nil
        attempts += 1
      }
    }
  }

  /// Decodes, permutes and scales an item into a row of a batch.
  private mutating func write(
    _ located: LocatedItem, _ item: Int, of epoch: Epoch, to row: Int, in batch: BatchMemory
  ) throws(CorpusError) {
    let began = now()
    let (start, target, origin) = try parameters(of: located)
    let decoded = now()
    let count = context.parameterCount
    switch context.options.augmentation {
    case .none, .automatic: break
    case .permute: order.shuffle(seed: epoch.sampler.seed, stream: epoch.augmentation(ofItem: item))
    case .canonical: order.canonicalize(start)
    }
    let applied = context.options.augmentation == .none ? nil : order
    context.permuter.copy(applied, from: start, to: batch.start + row * count, isPastCaches: isPastCaches)
    if let targets = batch.target {
      context.permuter.copy(applied, from: target, to: targets + row * count, isPastCaches: isPastCaches)
    }
    guard try isSound(located, start, target, origin) else {
      return try write(located, item, of: epoch, to: row, in: batch)
    }
    batch.startMetric[row] = located.shard.metric(row: located.rows.start)
    batch.targetMetric[row] = located.shard.metric(row: located.rows.target)
    batch.run[row] = located.location.run
    batch.startStep[row] = located.draw.start
    batch.targetStep[row] = located.draw.target
    batch.source[row] = Int32(located.source)
    statistics.decoding += decoded - began
    statistics.permuting += now() - decoded
  }

  /// Where parameters are: decoded in the scratch memory, in the shard itself, or in the cache.
  private enum Origin { case memory, shard, cache }

  /// Finds the parameters of an item, (P) each, or decodes them.
  private mutating func parameters(
    of item: LocatedItem
  ) throws(CorpusError) -> (start: UnsafePointer<Float>, target: UnsafePointer<Float>, origin: Origin) {
    let (draw, shard, rows) = (item.draw, item.shard, item.rows)
    if let start = try shard.rawValues(row: rows.start), let target = try shard.rawValues(row: rows.target) {
      return (start, target, .shard)
    }
    if let cache = context.caches[item.source] {
      if !cache.holds(draw.runIndex) { try decodeRun(of: item, into: cache) }
      if let found = cache.find(draw.runIndex, (Int(draw.start), Int(draw.target))) {
        statistics.cached += 1
        return (found.0, found.1, .cache)
      }
    }
    let isPair = context.options.item == .pairs
    try prepareDecoder(for: shard)
    let (first, second) = (scratch.base, scratch.base + stride)
    if isPair {
      try decoder?.decode(rows: rows, of: shard, into: (first, second))
    } else {
      try decoder?.decode(row: rows.start, of: shard, into: first)
    }
    return (UnsafePointer(first), UnsafePointer(isPair ? second : first), .memory)
  }

  private mutating func decodeRun(of item: LocatedItem, into cache: RunCache) throws(CorpusError) {
    try prepareDecoder(for: item.shard)
    let location = item.location
    try cache.fill(item.draw.runIndex) { (values) throws(CorpusError) in
      try decoder?.decode(
        rows: location.firstRow..<(location.firstRow + location.count), of: item.shard, into: values)
    }
  }

  /// Whether parameters that were copied are those that were stored, where a file may have been cut meanwhile; if not,
  /// they are to be copied again.
  ///
  /// - Throws: `damagedShard` where it is the shard that has changed.
  private func isSound(
    _ located: LocatedItem, _ start: UnsafePointer<Float>, _ target: UnsafePointer<Float>, _ origin: Origin
  ) throws(CorpusError) -> Bool {
    let (draw, count) = (located.draw, context.parameterCount)
    if origin != .memory, Self.endsInZero(start, count) || Self.endsInZero(target, count) {
      // So do all who lie behind a file's end in its last page.
      if origin == .shard { try located.shard.requireUnchanged() }
      if origin == .cache, let cache = context.caches[located.source],
        !cache.isIntact(draw.runIndex, (Int(draw.start), Int(draw.target)))
      {
        return false
      }
    }
    if FileMapping.isAnyTorn {
      // What was copied may have been zeros.
      try located.shard.requireWhole()
      if let cache = context.caches[located.source], cache.isTorn, cache.holds(draw.runIndex) {
        cache.abandon()
        return false
      }
    }
    return true
  }

  /// Whether the last byte of some floats is 0, in memory in which numbers are little endian.
  private static func endsInZero(_ values: UnsafePointer<Float>, _ count: Int) -> Bool {
    values[count - 1].bitPattern >> 24 == 0
  }

  private mutating func prepareDecoder(for shard: MappedShard) throws(CorpusError) {
    if decoder?.layout != shard.layout { decoder = try CheckpointDecoder(shard.layout) }
  }

  /// Nanoseconds, or 0 where nobody wants to know.
  private func now() -> UInt64 {
    guard isMeasuring else { return 0 }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
