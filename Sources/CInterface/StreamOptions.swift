public import CCheckpointCorpus
import Corpus
import PairSampling

extension cc_stream_options {
  private static let knownStatuses: [(Int, RunStatus)] = [
    (CC_STATUS_OK, .ok), (CC_STATUS_NONFINITE, .nonfinite), (CC_STATUS_OUT_OF_RANGE, .outOfRange),
  ]

  /// The same in Swift; what numbers cannot be, the stream itself refuses.
  func copied() throws(CorpusError) -> PairStreamOptions {
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
    options.includesUnmeasured = try choice(
      unmeasured, "treatment of checkpoints without the metric",
      [(CC_UNMEASURED_LEAVE_OUT, false), (CC_UNMEASURED_TAKE, true)])
    options.onDamage = try choice(
      on_damage, "treatment of damage", [(CC_DAMAGE_STOP, .stop), (CC_DAMAGE_SKIP, .skip)])
    options.scale = scale == 0 ? .corpus : .factor(scale)
    options.workers = workers == 0 ? nil : Int(workers)
    options.prefetch = Int(prefetch)
    options.cache = try cached()
    options.rank = Int(rank)
    options.worldSize = Int(world_size)
    options.workerIndex = Int(share)
    options.workerCount = Int(shares)
    options.itemsPerEpoch = items_per_epoch == 0 ? nil : Int(items_per_epoch)
    options.balance = try choice(balance, "balance", knownBalances)
    options.directions = try choice(directions, "directions", knownDirections)
    options.balanceRange = try range(balance_low, balance_high)
    options.initialStarts = initial_starts == 0 ? nil : initial_starts
    options.unchanged = unchanged
    options.runWeights = run_weights.map { String(cString: $0) }
    guard stage_count >= 0, stage_count == 0 || stages != nil else {
      throw .invalidArgument("there are \(stage_count) stages", remedy: "point to as many as there are")
    }
    for stage in UnsafeBufferPointer(start: stages, count: stages == nil ? 0 : Int(stage_count)) {
      options.stages.append(try stage.copied())
    }
    return options
  }

  private func cached() throws(CorpusError) -> PairStreamOptions.Cache {
    if Int(cache) == CC_CACHE_NONE { return .none }
    guard cache_bytes >= 0 else {
      throw .invalidArgument("the cache has \(cache_bytes) bytes", remedy: "give it at least 0")
    }
    switch Int(cache) {
    case CC_CACHE_MEMORY: return .memory(bytes: Int(cache_bytes))
    case CC_CACHE_DISK:
      return .disk(path: try absolutePath(cache_path, "cache's path"), bytes: Int(cache_bytes))
    default: throw .invalidArgument("there is no cache \(cache)")
    }
  }
}

extension cc_stream_stage {
  fileprivate func copied() throws(CorpusError) -> PairStreamOptions.Stage {
    var stage = PairStreamOptions.Stage(firstEpoch: Int(first_epoch))
    stage.condition = `where`.map { String(cString: $0) }
    stage.runWeights = run_weights.map { String(cString: $0) }
    stage.balance = balance == -1 ? nil : try choice(balance, "balance", knownBalances)
    stage.directions = directions == -1 ? nil : try choice(directions, "directions", knownDirections)
    stage.balanceRange = try range(balance_low, balance_high)
    stage.initialStarts = initial_starts == -1 ? nil : initial_starts
    stage.unchanged = unchanged == -1 ? nil : unchanged
    return stage
  }
}

private let knownBalances: [(Int, PairStreamOptions.Balance)] = [
  (CC_BALANCE_NONE, .none), (CC_BALANCE_METRIC, .metric), (CC_BALANCE_QUANTILE, .quantile),
  (CC_BALANCE_LOG, .log),
]
private let knownDirections: [(Int, PairStreamOptions.Directions)] = [
  (CC_DIRECTIONS_FORWARD, .forward), (CC_DIRECTIONS_BOTH, .both),
]

/// A range of a metric; nil for two zeros.
private func range(_ low: Float, _ high: Float) throws(CorpusError) -> ClosedRange<Float>? {
  if low == 0, high == 0 { return nil }
  guard low <= high else {
    throw .invalidArgument(
      "the range to balance over is from \(low) to \(high)", remedy: "make it from a number to a higher one")
  }
  return low...high
}

private func choice<Value>(_ number: Int32, _ what: String, _ values: [(Int, Value)]) throws(CorpusError)
  -> Value
{
  guard let found = values.first(where: { $0.0 == Int(number) }) else {
    throw .invalidArgument("there is no \(what) \(number)")
  }
  return found.1
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
public func cc_stream_stage_defaults(_ stage: UnsafeMutablePointer<cc_stream_stage>?) {
  var result = cc_stream_stage()
  result.balance = -1
  result.directions = -1
  result.initial_starts = -1
  result.unchanged = -1
  stage?.pointee = result
}
