import Platform
import Corpus
import PairSampling
import Foundation

/// Threads that fill batches ahead of whoever takes them, in order.
///
/// Batches are numbered through all epochs. Workers share each batch in slices; no batch is begun more than `prefetch`
/// ahead of the one that is asked for next, which bounds the memory.
final class BatchProducer: @unchecked Sendable {
  // Sendable because everything that changes is touched under the lock only.
  private let context: StreamContext
  private let batchesPerEpoch: Int
  private let pool: BatchPool
  /// One for each corpus, where blocks are read one after the other.
  private let readAheads: [ReadAhead]

  private let lock = NSCondition()
  /// Where the stream stands: the number of the next batch to be handed out.
  private var nextToTake = 0
  /// The number of the next batch to be begun.
  private var nextToBegin = 0
  /// Batches that are begun and not handed out, by number.
  private var begun: [Int: BatchInWork] = [:]
  /// The batch of which slices are left to take.
  private var open: BatchInWork?
  private var isCancelled = false
  private var total = PairStream.Statistics()
  private var threads: WorkerThreads?

  /// A batch in the making.
  private final class BatchInWork {
    let batch: PairBatch
    let epoch: Epoch
    var nextRow = 0
    var rowsLeft: Int
    var failure: CorpusError?

    init(batch: PairBatch, epoch: Epoch) {
      self.batch = batch
      self.epoch = epoch
      rowsLeft = batch.count
    }
  }

  /// Part of a batch, for one worker.
  private struct Slice {
    let work: BatchInWork
    let rows: Range<Int>
  }

  /// Rows that a worker takes at a time: few enough to divide a batch evenly, enough to lock seldom.
  private static let sliceRows = 64

  init(_ context: StreamContext, batchesPerEpoch: Int, isMeasuring: Bool) throws(CorpusError) {
    self.context = context
    self.batchesPerEpoch = batchesPerEpoch
    pool = BatchPool {
      BatchMemory(
        count: context.options.batchSize, parameterCount: context.parameterCount,
        hasTargets: context.options.item == .pairs)
    }
    let sources = context.options.order == .sequential ? context.sampler.sources.indices : 0..<0
    readAheads = sources.map { ReadAhead(context, source: $0) }
    let workers = context.options.workers ?? Workers.available
    let readers = readAheads.count
    threads = try WorkerThreads(workers + readers) { [self] number in
      if number < readers {
        readAheads[number].run()
      } else {
        work(isMeasuring: isMeasuring)
      }
    }
  }

  /// Ends the threads.
  func stop() {
    cancel()
    lock.lock()
    let threads = threads.take()
    lock.unlock()
    threads?.join()
  }

  func cancel() {
    lock.withLock {
      isCancelled = true
      lock.broadcast()
    }
    for reader in readAheads { reader.cancel() }
  }

  var position: Int { lock.withLock { nextToTake } }

  var statistics: PairStream.Statistics { lock.withLock { total } }

  func seek(_ number: Int) {
    lock.lock()
    defer { lock.unlock() }
    guard number != nextToTake else { return }
    // Workers finish slices of batches that nobody will take; nobody minds.
    begun.removeAll()
    open = nil
    nextToTake = number
    nextToBegin = number
    lock.broadcast()
  }

  func next() throws(CorpusError) -> PairBatch {
    lock.lock()
    defer { lock.unlock() }
    while true {
      if isCancelled {
        throw CorpusError(.interrupted, "the stream was cancelled", remedy: "open another one")
      }
      let number = nextToTake
      if let work = begun[number], work.rowsLeft == 0 {
        if let failure = work.failure { throw failure }
        begun[number] = nil
        nextToTake += 1
        lock.broadcast()
        return work.batch
      }
      lock.wait()
    }
  }

  private func work(isMeasuring: Bool) {
    var loader = PairLoader(context, isMeasuring: isMeasuring)
    while let slice = takeSlice() {
      var failure: CorpusError?
      do throws(CorpusError) {
        try loader.load(slice.rows, of: slice.work.batch, in: slice.work.epoch)
      } catch {
        failure = error
      }
      finish(slice, failure, loader.takeStatistics())
    }
  }

  private func takeSlice() -> Slice? {
    lock.lock()
    defer { lock.unlock() }
    while !isCancelled {
      if open == nil, nextToBegin < nextToTake + context.options.prefetch { begin() }
      if let work = open {
        let first = work.nextRow
        work.nextRow = min(first + Self.sliceRows, work.batch.count)
        if work.nextRow == work.batch.count { open = nil }
        return Slice(work: work, rows: first..<work.nextRow)
      }
      lock.wait()
    }
    return nil
  }

  private func begin() {
    let (epoch, batch) = nextToBegin.quotientAndRemainder(dividingBy: batchesPerEpoch)
    let options = context.options
    let number = batch * options.workerCount + options.workerIndex
    let first = (number * options.worldSize + options.rank) * options.batchSize
    let drawn = begun.values.first { $0.epoch.number == epoch }?.epoch ?? Epoch(epoch, of: context.sampler)
    for reader in readAheads { reader.reach(first, of: drawn) }
    let work = BatchInWork(
      batch: PairBatch(
        count: options.batchSize, epoch: epoch, firstItem: first, memory: pool.take(), pool: pool),
      epoch: drawn)
    begun[nextToBegin] = work
    open = work
    nextToBegin += 1
  }

  private func finish(_ slice: Slice, _ failure: CorpusError?, _ statistics: PairStream.Statistics) {
    lock.lock()
    defer { lock.unlock() }
    total.add(statistics)
    slice.work.batch.replacements += statistics.replaced
    slice.work.failure = slice.work.failure ?? failure
    slice.work.rowsLeft -= slice.rows.count
    if slice.work.rowsLeft == 0 || open == nil { lock.broadcast() }
  }
}

extension PairStream.Statistics {
  fileprivate mutating func add(_ other: Self) {
    items += other.items
    cached += other.cached
    replaced += other.replaced
    decoding += other.decoding
    permuting += other.permuting
  }
}
