import Corpus
import Glibc
import MetricIndex
import ShardStore

/// What all threads of a stream share and nobody changes.
struct StreamContext: Sendable {
  let options: PairStreamOptions
  let sampler: PairSampler
  let pool: ShardPool
  let cache: RunCache?
  let hidden: HiddenLayers
  let permuter: UnitPermuter
  let parameterCount: Int
}

/// Brings items into batches: finds, decodes, permutes and scales. Serves one thread.
struct PairLoader: ~Copyable {
  private let context: StreamContext
  private let isMeasuring: Bool
  /// The shards met so far, by their places in the table.
  private var shards: [MappedShard?]
  private var decoder: DecoderBox?
  private var order: UnitOrder
  /// Two decoded parameter vectors.
  private let scratch: UnsafeMutablePointer<Float>
  private var statistics = PairStream.Statistics()

  init(_ context: StreamContext, isMeasuring: Bool) {
    self.context = context
    self.isMeasuring = isMeasuring
    shards = Array(repeating: nil, count: min(context.sampler.table.shards.count, 8_192))
    order = UnitOrder(context.hidden)
    scratch = UnsafeMutableRawPointer.allocate(byteCount: 8 * context.parameterCount + 64, alignment: 64)
      .bindMemory(to: Float.self, capacity: 2 * context.parameterCount)
  }

  deinit { scratch.deallocate() }

  /// A decoder, which cannot be copied, in a variable that can be nil.
  private final class DecoderBox {
    var decoder: CheckpointDecoder

    init(_ header: ShardHeader) throws(CorpusError) { decoder = try CheckpointDecoder(header: header) }
  }

  /// What it has done since this was asked last.
  mutating func takeStatistics() -> PairStream.Statistics {
    defer { statistics = PairStream.Statistics() }
    return statistics
  }

  /// Loads the item at a place of an epoch into a place of a batch.
  ///
  /// - Returns: how many damaged items were tried before the one that is now there.
  mutating func load(_ place: Int, of epoch: Epoch, to item: Int, in batch: BatchMemory) throws(CorpusError)
    -> Int
  {
    var draw = epoch.draw(place)
    var attempts = 0
    while true {
      do throws(CorpusError) {
        try load(draw, place, epoch, to: item, in: batch)
        statistics.items += 1
        return attempts
      } catch  where context.options.onDamage == .skip && error.code == .damagedShard {
        guard let other = epoch.replacement(of: place, attempt: attempts) else { throw error }
        draw = other
        attempts += 1
      }
    }
  }

  private mutating func load(
    _ draw: PairDraw, _ place: Int, _ epoch: Epoch, to item: Int, in batch: BatchMemory
  ) throws(CorpusError) {
    let began = now()
    let (shard, stored) = try find(draw.run)
    let rows = (stored.firstRow + Int(draw.start), stored.firstRow + Int(draw.target))
    let isPair = context.options.item == .pairs
    let (start, target) = try values(draw, rows, isPair, shard, stored)
    let decoded = now()
    let count = context.parameterCount
    switch context.options.augmentation {
    case .none: break
    case .permute:
      var random = epoch.augmentation(place)
      order.shuffle(&random)
    case .canonical: order.canonicalize(start)
    }
    let applied = context.options.augmentation == .none ? nil : order
    context.permuter.copy(applied, from: start, to: batch.start + item * count)
    if isPair, let targets = batch.target {
      context.permuter.copy(applied, from: target, to: targets + item * count)
    }
    batch.startMetric[item] = shard.metric(row: rows.0)
    batch.targetMetric[item] = shard.metric(row: rows.1)
    batch.run[item] = context.sampler.table.rows[draw.run].run
    batch.startStep[item] = draw.start
    batch.targetStep[item] = draw.target
    statistics.decoding += decoded - began
    statistics.permuting += now() - decoded
  }

  /// Where the parameters of an item are: in the cache, in the file itself, or decoded in the scratch memory.
  private mutating func values(
    _ draw: PairDraw, _ rows: (Int, Int), _ isPair: Bool, _ shard: MappedShard, _ stored: MappedShard.Place
  ) throws(CorpusError) -> (start: UnsafePointer<Float>, target: UnsafePointer<Float>) {
    let count = context.parameterCount
    if let start = shard.rawValues(row: rows.0), let target = shard.rawValues(row: rows.1) {
      return (start, target)
    }
    if let cache = context.cache {
      if cache.find(draw.run) == nil { try fill(cache, draw.run, shard, stored) }
      if let run = cache.find(draw.run) {
        statistics.cached += 1
        return (run + Int(draw.start) * count, run + Int(draw.target) * count)
      }
    }
    let decoder = try decoder(for: shard)
    let (first, second) = (scratch, scratch + count)
    if isPair {
      try decoder.decoder.decode(rows: rows, of: shard, into: (first, second))
    } else {
      try decoder.decoder.decode(row: rows.0, of: shard, into: first)
    }
    return (UnsafePointer(first), UnsafePointer(isPair ? second : first))
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
    if let decoder, decoder.decoder.serves(shard.header) { return decoder }
    let made = try DecoderBox(shard.header)
    decoder = made
    return made
  }

  private mutating func find(_ run: Int) throws(CorpusError) -> (MappedShard, MappedShard.Place) {
    let row = context.sampler.table.rows[run]
    let number = Int(row.shard)
    if number < shards.count, let shard = shards[number], let place = shard.place(of: row.run) {
      return (shard, place)
    }
    let found = try context.pool.find(run)
    if number < shards.count { shards[number] = found.shard }
    return found
  }

  /// Nanoseconds, or 0 where nobody wants to know.
  private func now() -> UInt64 {
    guard isMeasuring else { return 0 }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
