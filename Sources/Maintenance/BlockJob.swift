public import Corpus
import CorpusStore
import Foundation
public import Platform
public import ShardStore
import Synchronization
public import Tasks

/// Trains a range of runs in blocks, and brings each to the corpus as one sealed shard.
///
/// Runs are made in a directory of this machine's own. The corpus, on a network file system perhaps, gets sealed shards
/// alone: no file of a single run, no index, and no file lock is taken on it. Any number of jobs on any number of
/// machines work on the same corpus, whatever their speed: a job ends when all blocks of its range are sealed, whoever
/// sealed them.
public struct BlockJob: Sendable {
  let task: any TrainingTask
  let directory: CorpusDirectory
  let seeds: Range<Int64>
  let workers: Int
  let codec: Codec
  let options: Options

  /// How blocks are made.
  public struct Options: Sendable {
    /// Runs of a block.
    public var runsPerBlock: Int
    /// Where runs lie until their block is sealed: on a disk of this machine.
    public var scratch: String
    /// How long the claims of a process hold that has died without a word.
    public var leaseSeconds = 600.0

    public init(runsPerBlock: Int, scratch: String) {
      self.runsPerBlock = runsPerBlock
      self.scratch = scratch
    }
  }

  public init(
    task: any TrainingTask, directory: CorpusDirectory, seeds: Range<Int64>, workers: Int, codec: Codec,
    options: Options
  ) {
    self.task = task
    self.directory = directory
    self.seeds = seeds
    self.workers = workers
    self.codec = codec
    self.options = options
  }

  /// Makes the blocks that are not sealed yet.
  ///
  /// - Parameter report: called from the workers after each run.
  /// - Throws: the first failure; what was sealed until then stays, and what lies in ``Options/scratch`` is used the next
  ///   time. `differentRun` on a machine that computes wrongly.
  public func run(
    cancellation: Cancellation, report: @escaping @Sendable (GenerationJob.Progress) -> Void
  ) throws(CorpusError) -> GenerationJob.Progress {
    let selfTest = try type(of: task).selfTest()
    let claims = try BlockClaims(directory, leaseSeconds: options.leaseSeconds)
    do throws(CorpusError) {
      try selfTest?.run()
      claims.withdrawNote()
      let scratch = try ScratchCorpus(of: directory, codec: codec, in: options.scratch)
      let queue = try BlockQueue(
        RunBlock.blocks(of: seeds, size: options.runsPerBlock), of: directory, claims, total: seeds.count)
      report(queue.progress)
      // The first thread keeps the claims alive while the others train.
      try Workers.run(1 + max(1, min(workers, queue.missing))) { worker throws(CorpusError) in
        if worker == 0 { return queue.keepClaims() }
        queue.enter()
        defer { queue.leave() }
        do throws(CorpusError) {
          try work(queue, scratch, selfTest, cancellation, report)
        } catch {
          queue.stop()
          throw error
        }
      }
      try queue.removeClaimsOfSealedBlocks()
      return queue.progress
    } catch {
      if error.code == .differentRun { claims.note(error) }
      throw error
    }
  }

  private func work(
    _ queue: BlockQueue, _ scratch: ScratchCorpus, _ selfTest: SelfTest?,
    _ cancellation: Cancellation, _ report: @Sendable (GenerationJob.Progress) -> Void
  ) throws(CorpusError) {
    var encoder = try RunEncoder(header: scratch.header(checkpoints: task.checkpointsPerRun))
    let isStopped: @Sendable () -> Bool = { cancellation.isCancelled || queue.isStopped }
    while !queue.isStopped, let (block, seed) = try queue.next(cancellation, report) {
      try cancellation.check()
      if try !scratch.holds(seed) {
        guard let run = try task.storedRun(seed: seed, isCancelled: { isStopped() || block.isLost }) else {
          try cancellation.check()
          queue.giveUp(block)
          continue
        }
        let encoded = try encoder.encode(run)
        try scratch.store(encoded, header: encoder.header)
        queue.count(run, encoded, parameters: task.architecture.parameterCount)
      }
      if block.finish() {
        try prove(block, scratch, selfTest)
        try queue.close(block, isOurs: scratch.publish(block.missing, to: directory))
      }
      report(queue.progress)
    }
  }

  /// Tries the machine before anything that it has made is published: the known run once more, and one of the block's.
  private func prove(
    _ block: ActiveBlock, _ scratch: ScratchCorpus, _ selfTest: SelfTest?
  ) throws(CorpusError) {
    try selfTest?.run()
    guard let seed = block.missing.randomElement(), let stored = try? scratch.contentHash(of: seed),
      let again = try task.storedRun(seed: seed, isCancelled: { false })
    else { return }
    guard try ContentHash(of: again) == stored else {
      throw CorpusError(
        .differentRun, "this machine computes wrongly: run \(seed) comes out otherwise when it is made again",
        remedy:
          "remove \(scratch.path), work on another machine, and have the memory and the processor of this one "
          + "looked at")
    }
  }
}
