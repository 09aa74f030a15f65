import Platform
import Corpus
import PairSampling
import Foundation
import Synchronization

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
  /// The number of the next batch to be handed out.
  private var nextOut = 0
  /// The number of the next batch to be begun.
  private var nextIn = 0
  /// Batches that are begun and not handed out, by number.
  private var works: [Int: Work] = [:]
  /// The work of which slices are left to take.
  private var open: Work?
  private var isCancelled = false
  private var total = PairStream.Statistics()
  private var threads: WorkerThreads?

  /// A batch in the making.
  private final class Work {
    let batch: PairBatch
    let epoch: Epoch
    var nextItem = 0
    var itemsLeft: Int
    var failure: CorpusError?

    init(batch: PairBatch, epoch: Epoch) {
      self.batch = batch
      self.epoch = epoch
      itemsLeft = batch.count
    }
  }

  /// Part of a batch, for one worker.
  private struct Slice {
    let work: Work
    let items: Range<Int>
  }

  /// Items that a worker takes at a time: few enough to share a batch evenly, enough to lock seldom.
  private static let sliceItems = 64

  init(_ context: StreamContext, batchesPerEpoch: Int, isMeasuring: Bool) throws(CorpusError) {
    self.context = context
    self.batchesPerEpoch = batchesPerEpoch
    pool = BatchPool(
      count: context.options.batchSize, parameterCount: context.parameterCount,
      hasTargets: context.options.item == .pairs)
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
    lock.lock()
    isCancelled = true
    lock.broadcast()
    lock.unlock()
    for reader in readAheads { reader.cancel() }
  }

  var position: Int { lock.withLock { nextOut } }

  var statistics: PairStream.Statistics { lock.withLock { total } }

  func seek(_ number: Int) {
    lock.lock()
    defer { lock.unlock() }
    guard number != nextOut else { return }
    // Workers finish slices of batches that nobody will take; nobody minds.
    works.removeAll()
    open = nil
    nextOut = number
    nextIn = number
    lock.broadcast()
  }

  func next() throws(CorpusError) -> PairBatch {
    lock.lock()
    defer { lock.unlock() }
    while true {
      if isCancelled {
        throw CorpusError(.interrupted, "the stream was cancelled", remedy: "open another one")
      }
      let number = nextOut
      if let work = works[number], work.itemsLeft == 0 {
        if let failure = work.failure { throw failure }
        works[number] = nil
        nextOut += 1
        lock.broadcast()
        return work.batch
      }
      lock.wait()
    }
  }

  private func work(isMeasuring: Bool) {
    var loader = PairLoader(context, isMeasuring: isMeasuring)
    while let slice = takeSlice() {
      var replaced = 0
      var failure: CorpusError?
      do throws(CorpusError) {
        replaced = try loader.load(slice.items, of: slice.work.batch, in: slice.work.epoch)
      } catch {
        failure = error
      }
      finish(slice, replaced: replaced, failure: failure, statistics: loader.takeStatistics())
    }
  }

  private func takeSlice() -> Slice? {
    lock.lock()
    defer { lock.unlock() }
    while !isCancelled {
      if open == nil, nextIn < nextOut + context.options.prefetch { begin() }
      if let work = open {
        let first = work.nextItem
        work.nextItem = min(first + Self.sliceItems, work.batch.count)
        if work.nextItem == work.batch.count { open = nil }
        return Slice(work: work, items: first..<work.nextItem)
      }
      lock.wait()
    }
    return nil
  }

  private func begin() {
    let (epoch, batch) = nextIn.quotientAndRemainder(dividingBy: batchesPerEpoch)
    let options = context.options
    let number = batch * options.workerCount + options.workerIndex
    let first = (number * options.worldSize + options.rank) * options.batchSize
    let items = works.values.first { $0.epoch.number == epoch }?.epoch ?? Epoch(epoch, of: context.sampler)
    for reader in readAheads { reader.reach(first, of: items) }
    let work = Work(
      batch: PairBatch(
        count: options.batchSize, epoch: epoch, firstItem: first, memory: pool.take(), pool: pool),
      epoch: items)
    works[nextIn] = work
    open = work
    nextIn += 1
  }

  private func finish(
    _ slice: Slice, replaced: Int, failure: CorpusError?, statistics: PairStream.Statistics
  ) {
    lock.lock()
    defer { lock.unlock() }
    total.add(statistics)
    total.replaced += replaced
    slice.work.batch.replacements += replaced
    slice.work.failure = slice.work.failure ?? failure
    slice.work.itemsLeft -= slice.items.count
    if slice.work.itemsLeft == 0 || open == nil { lock.broadcast() }
  }
}

extension PairStream.Statistics {
  fileprivate mutating func add(_ other: Self) {
    items += other.items
    cached += other.cached
    decoding += other.decoding
    permuting += other.permuting
  }
}
