public import CCheckpointCorpus
import Corpus
import PairStream

/// `cc_stream`.
final class StreamHandle: Handle {
  let stream: PairStream
  let metric: CText
  let fingerprint: CText

  init(path: String, options: PairStreamOptions) throws(CorpusError) {
    stream = try PairStream(CorpusDirectory(opening: path), options: options)
    metric = CText(stream.metric.name)
    fingerprint = CText(stream.fingerprint)
  }
}

/// What keeps the memory of a `cc_batch`.
private final class BatchHandle: Handle {
  let batch: PairBatch

  init(_ batch: PairBatch) { self.batch = batch }
}

extension cc_batch {
  fileprivate init(_ batch: PairBatch) {
    self.init()
    count = Int64(batch.count)
    parameter_count = Int64(batch.parameterCount)
    epoch = Int64(batch.epoch)
    first_item = Int64(batch.firstItem)
    replacements = Int64(batch.replacements)
    // Whoever takes a batch has it for himself.
    start = UnsafeMutablePointer(mutating: batch.start.baseAddress)
    target = UnsafeMutablePointer(mutating: batch.target.baseAddress)
    start_metric = UnsafeMutablePointer(mutating: batch.startMetric.baseAddress)
    target_metric = UnsafeMutablePointer(mutating: batch.targetMetric.baseAddress)
    run = UnsafeMutablePointer(mutating: batch.run.baseAddress)
    start_step = UnsafeMutablePointer(mutating: batch.startStep.baseAddress)
    target_step = UnsafeMutablePointer(mutating: batch.targetStep.baseAddress)
    owner = UnsafeMutableRawPointer(BatchHandle(batch).passed())
  }
}

extension cc_stream_options {
  private static let knownStatuses: [(Int, RunStatus)] = [
    (CC_STATUS_OK, .ok), (CC_STATUS_NONFINITE, .nonfinite), (CC_STATUS_OUT_OF_RANGE, .outOfRange),
  ]

  /// The same in Swift; what numbers cannot be, the stream itself refuses.
  fileprivate func copied() throws(CorpusError) -> PairStreamOptions {
    var options = PairStreamOptions()
    options.metric = metric.map { String(cString: $0) }
    options.condition = `where`.map { String(cString: $0) }
    options.batchSize = Int(batch_size)
    options.seed = seed
    options.split = try choice(
      split, "split", [(CC_SPLIT_TRAIN, .train), (CC_SPLIT_TEST, .test), (CC_SPLIT_ALL, .all)])
    let known = Self.knownStatuses.reduce(0 as UInt32) { $0 | 1 << UInt32($1.0) }
    guard statuses & ~known == 0 else { throw .invalidArgument("there are no statuses \(statuses)") }
    options.statuses = Set(Self.knownStatuses.filter { statuses & 1 << UInt32($0.0) != 0 }.map(\.1))
    options.item = try choice(
      item, "item", [(CC_ITEM_PAIRS, .pairs), (CC_ITEM_CHECKPOINTS, .checkpoints)])
    options.order = try choice(
      order, "order", [(CC_ORDER_RANDOM, .random), (CC_ORDER_SEQUENTIAL, .sequential)])
    options.augmentation = try choice(
      augmentation, "augmentation",
      [
        (CC_AUGMENT_NONE, .none), (CC_AUGMENT_PERMUTE, .permute), (CC_AUGMENT_CANONICAL, .canonical),
        (CC_AUGMENT_AUTOMATIC, .automatic),
      ])
    options.onDamage = try choice(
      on_damage, "treatment of damage", [(CC_DAMAGE_STOP, .stop), (CC_DAMAGE_SKIP, .skip)])
    options.scale = scale == 0 ? .corpus : .factor(scale)
    options.workers = workers == 0 ? nil : Int(workers)
    options.prefetch = Int(prefetch)
    options.cache = try cached()
    options.rank = Int(rank)
    options.worldSize = Int(world_size)
    options.share = Int(share)
    options.shares = Int(shares)
    options.itemsPerEpoch = items_per_epoch == 0 ? nil : Int(items_per_epoch)
    return options
  }

  private func cached() throws(CorpusError) -> PairStreamOptions.Cache {
    if Int(cache) == CC_CACHE_NONE { return .none }
    guard cache_bytes >= 0 else {
      throw .invalidArgument("the cache has \(cache_bytes) bytes", remedy: "give it at least 0")
    }
    switch Int(cache) {
    case CC_CACHE_MEMORY: return .memory(bytes: Int(cache_bytes))
    case CC_CACHE_DISK: return .disk(path: try string(cache_path, "cache's path"), bytes: Int(cache_bytes))
    default: throw .invalidArgument("there is no cache \(cache)")
    }
  }

  private func choice<Value>(_ number: Int32, _ what: String, _ values: [(Int, Value)]) throws(CorpusError)
    -> Value
  {
    guard let found = values.first(where: { $0.0 == Int(number) }) else {
      throw .invalidArgument("there is no \(what) \(number)")
    }
    return found.1
  }
}

@c @implementation
public func cc_stream_defaults(_ options: UnsafeMutablePointer<cc_stream_options>?) {
  let defaults = PairStreamOptions()
  var result = cc_stream_options()
  result.batch_size = Int64(defaults.batchSize)
  result.statuses = 1 << UInt32(CC_STATUS_OK)
  result.augmentation = Int32(CC_AUGMENT_AUTOMATIC)
  result.prefetch = Int32(defaults.prefetch)
  result.cache_bytes = 4_096_000_000
  result.world_size = 1
  result.shares = 1
  options?.pointee = result
}

@c @implementation
public func cc_stream_open(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<cc_stream_options>?,
  _ stream: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let stream = try present(stream, "stream")
    let settings = try options?.pointee.copied() ?? PairStreamOptions()
    stream.pointee = try StreamHandle(path: string(path, "path"), options: settings).passed()
  }
}

@c @implementation
public func cc_stream_close(_ stream: OpaquePointer?) {
  guard let handle = stream.object(StreamHandle.self), handle.isOwn else { return }
  // Before the gate: a fork that waits for this call would keep the stream's threads from ending.
  handle.stream.stop()
  ForkGate.pass { stream.close(StreamHandle.self) }
}

@c @implementation
public func cc_stream_describe(_ stream: OpaquePointer?, _ facts: UnsafeMutablePointer<cc_stream_facts>?)
  -> Int32
{
  guarded { () throws(CorpusError) in
    let handle = try stream.opened(StreamHandle.self)
    let facts = try present(facts, "facts")
    let stream = handle.stream
    facts.pointee = cc_stream_facts(
      parameter_count: Int64(stream.parameterCount), runs: Int64(stream.runCount),
      items_per_epoch: Int64(stream.itemsPerEpoch), batches_per_epoch: Int64(stream.batchesPerEpoch),
      scale: stream.scale, augmentation: augmentation(of: stream), metric: handle.metric.start,
      fingerprint: handle.fingerprint.start)
  }
}

private func augmentation(of stream: PairStream) -> Int32 {
  switch stream.options.augmentation {
  case .none, .automatic: Int32(CC_AUGMENT_NONE)
  case .permute: Int32(CC_AUGMENT_PERMUTE)
  case .canonical: Int32(CC_AUGMENT_CANONICAL)
  }
}

@c @implementation
public func cc_stream_statistics(
  _ stream: OpaquePointer?, _ counts: UnsafeMutablePointer<cc_stream_counts>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let known = try stream.opened(StreamHandle.self).stream.statistics
    try present(counts, "counts").pointee = cc_stream_counts(
      items: Int64(known.items), cached: Int64(known.cached), replaced: Int64(known.replaced), unused: 0)
  }
}

@c @implementation
public func cc_stream_position(
  _ stream: OpaquePointer?, _ epoch: UnsafeMutablePointer<Int64>?, _ batch: UnsafeMutablePointer<Int64>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let position = try stream.opened(StreamHandle.self).stream.position
    let (epoch, batch) = (try present(epoch, "epoch"), try present(batch, "batch"))
    epoch.pointee = Int64(position.epoch)
    batch.pointee = Int64(position.batch)
  }
}

@c @implementation
public func cc_stream_seek(_ stream: OpaquePointer?, _ epoch: Int64, _ batch: Int64) -> Int32 {
  guarded { () throws(CorpusError) in
    let position = PairStream.Position(epoch: Int(epoch), batch: Int(batch))
    try stream.opened(StreamHandle.self).stream.seek(position)
  }
}

@c @implementation
public func cc_stream_next(_ stream: OpaquePointer?, _ batch: UnsafeMutablePointer<cc_batch>?) -> Int32 {
  guarded { () throws(CorpusError) in
    let stream = try stream.opened(StreamHandle.self).stream
    let batch = try present(batch, "batch")
    batch.pointee = cc_batch(try stream.next())
  }
}

@c @implementation
public func cc_batch_release(_ batch: UnsafeMutablePointer<cc_batch>?) {
  guard let batch, let owner = batch.pointee.owner else { return }
  Optional(OpaquePointer(owner)).close(BatchHandle.self)
  batch.pointee = cc_batch()
}

@c @implementation
public func cc_stream_cancel(_ stream: OpaquePointer?) {
  guard let stream = stream.object(StreamHandle.self), stream.isOwn else { return }
  stream.stream.cancel()
}
