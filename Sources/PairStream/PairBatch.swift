import Synchronization

/// A batch of pairs in memory that is used again once nobody holds the batch.
///
/// A batch of single checkpoints (`PairStreamOptions.Item.checkpoints`) has only the starts.
public final class PairBatch: @unchecked Sendable {
  // Sendable because it is written before it is handed out, and only read then.

  /// B: the number of items.
  public let count: Int
  /// P: the length of a parameter vector.
  public let parameterCount: Int
  public let epoch: Int
  /// The index of its first item in the epoch, of the items of all ranks.
  public let firstItem: Int
  /// Items that stand in for damaged ones.
  public internal(set) var replacements = 0

  private let memory: BatchMemory
  private let pool: BatchPool

  init(count: Int, epoch: Int, firstItem: Int, memory: BatchMemory, pool: BatchPool) {
    self.count = count
    self.epoch = epoch
    self.firstItem = firstItem
    self.memory = memory
    self.pool = pool
    parameterCount = memory.parameterCount
  }

  deinit { pool.give(memory) }

  /// The parameters of the starts, (B, P), permuted and scaled; they begin at a multiple of 64 bytes.
  public var start: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: memory.start, count: count * parameterCount)
  }
  /// The parameters of the targets, (B, P), permuted and scaled like the starts; empty for single checkpoints.
  public var target: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: memory.target, count: memory.target == nil ? 0 : count * parameterCount)
  }
  /// The metric of the starts, (B).
  public var startMetric: UnsafeBufferPointer<Float> { one(memory.startMetric) }
  /// The metric of the targets, (B).
  public var targetMetric: UnsafeBufferPointer<Float> { one(memory.targetMetric) }
  /// The runs' seeds, (B), by which a corpus knows them.
  public var run: UnsafeBufferPointer<Int64> { one(memory.run) }
  /// The steps of the starts in their runs, (B).
  public var startStep: UnsafeBufferPointer<Int32> { one(memory.startStep) }
  /// The steps of the targets in their runs, (B).
  public var targetStep: UnsafeBufferPointer<Int32> { one(memory.targetStep) }
  /// The index of each item's corpus among ``PairStream/directories``, (B).
  public var source: UnsafeBufferPointer<Int32> { one(memory.source) }

  /// One element an item.
  private func one<Element>(_ start: UnsafeMutablePointer<Element>) -> UnsafeBufferPointer<Element> {
    UnsafeBufferPointer(start: start, count: count)
  }

  /// The memory, for whoever writes the batch.
  var writable: BatchMemory { memory }
}

/// The arrays of a batch, in one allocation.
final class BatchMemory: @unchecked Sendable {
  // Sendable because each item's part is written by one thread, and read after a lock.
  let parameterCount: Int
  let start: UnsafeMutablePointer<Float>
  let target: UnsafeMutablePointer<Float>?
  let startMetric: UnsafeMutablePointer<Float>
  let targetMetric: UnsafeMutablePointer<Float>
  let run: UnsafeMutablePointer<Int64>
  let startStep: UnsafeMutablePointer<Int32>
  let targetStep: UnsafeMutablePointer<Int32>
  let source: UnsafeMutablePointer<Int32>
  private let base: UnsafeMutableRawPointer

  init(count: Int, parameterCount: Int, hasTargets: Bool) {
    func rounded(_ bytes: Int) -> Int { (bytes + 63) / 64 * 64 }
    let vectors = rounded(4 * count * parameterCount)
    let singles = rounded(4 * count)
    let base = UnsafeMutableRawPointer.allocate(
      byteCount: (hasTargets ? 2 : 1) * vectors + 5 * singles + rounded(8 * count), alignment: 64)
    var offset = 0
    func take<Element>(_ type: Element.Type, _ bytes: Int, _ count: Int) -> UnsafeMutablePointer<Element> {
      defer { offset += bytes }
      return (base + offset).bindMemory(to: type, capacity: count)
    }
    start = take(Float.self, vectors, count * parameterCount)
    target = hasTargets ? take(Float.self, vectors, count * parameterCount) : nil
    startMetric = take(Float.self, singles, count)
    targetMetric = take(Float.self, singles, count)
    startStep = take(Int32.self, singles, count)
    targetStep = take(Int32.self, singles, count)
    source = take(Int32.self, singles, count)
    run = take(Int64.self, rounded(8 * count), count)
    self.base = base
    self.parameterCount = parameterCount
  }

  deinit { base.deallocate() }
}

/// Memory of batches that nobody holds any more.
final class BatchPool: Sendable {
  private let free = Mutex<[BatchMemory]>([])
  private let make: @Sendable () -> BatchMemory

  init(make: @escaping @Sendable () -> BatchMemory) { self.make = make }

  func take() -> BatchMemory { free.withLock { $0.popLast() } ?? make() }

  func give(_ memory: BatchMemory) { free.withLock { $0.append(memory) } }
}
