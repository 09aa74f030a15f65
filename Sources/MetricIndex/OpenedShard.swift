import Platform
import Corpus
import ShardStore
import Synchronization

/// A shard that is about to be taken up, or what is wrong with it.
struct OpenedShard: Sendable {
  /// Relative to the corpus.
  let file: String
  let reader: Result<ShardReader, CorpusError>

  init(_ file: String, of directory: CorpusDirectory) {
    self.file = file
    reader = Result { () throws(CorpusError) in try ShardReader(opening: file, of: directory) }
  }

  /// Opens batches of shards, each while the one before it is taken up: both take about as long.
  ///
  /// - Parameter body: takes up a batch; false for no more.
  static func open(
    _ batches: [[String]], of directory: CorpusDirectory, body: ([OpenedShard]) throws(CorpusError) -> Bool
  ) throws(CorpusError) {
    guard let first = batches.first else { return }
    var opened = first.map { OpenedShard($0, of: directory) }
    for number in batches.indices {
      let following = number + 1 < batches.count ? batches[number + 1] : []
      let next = Mutex<[OpenedShard]>([])
      // One thread: HDF5 lets only one in at a time.
      let threads = try WorkerThreads(following.isEmpty ? 0 : 1) { _ in
        let shards = following.map { OpenedShard($0, of: directory) }
        next.withLock { $0 = shards }
      }
      let outcome = Result { () throws(CorpusError) in try body(opened) }
      threads.join()
      guard try outcome.get() else { return }
      opened = next.withLock { $0 }
    }
  }
}
