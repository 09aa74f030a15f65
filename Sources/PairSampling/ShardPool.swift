import CorpusStore
import Platform
package import Corpus
package import MetricIndex
package import ShardStore
import Synchronization

/// The shards of a table's runs, each mapped when it is first needed.
///
/// Compaction may move runs to other shards at any time; the pool then asks the index where they have gone.
package final class ShardPool: Sendable {
  let directory: CorpusDirectory
  private let table: RunTable
  private let metric: Int
  private let index: IndexReader
  private let state: Mutex<State>

  private struct State {
    /// The mapped shards, by path.
    var shards: [String: MappedShard] = [:]
    /// Where runs have moved to since the table was made.
    var moved: [Int64: String] = [:]
  }

  /// Enough for 117,594 runs in sealed shards many times over; of files of single runs, the oldest are closed.
  private static let limit = 8_192

  package init(_ directory: CorpusDirectory, table: RunTable, metric: Int, index: IndexReader) {
    self.directory = directory
    self.table = table
    self.metric = metric
    self.index = index
    state = Mutex(State())
  }

  /// The shard of a run of the table, and where the run lies in it.
  package func find(_ runIndex: Int) throws(CorpusError) -> RunFinder.Found {
    // On a thread of the stream's own, which knows nothing of a fork.
    try ForkGate.pass { () throws(CorpusError) in try locate(runIndex) }
  }

  private func locate(_ runIndex: Int) throws(CorpusError) -> RunFinder.Found {
    let row = table.rows[runIndex]
    let path = state.withLock { $0.moved[row.run] } ?? table.shards[Int(row.shard)].path
    return try index.locate(row.run, in: path) { (file) throws(CorpusError) in
      let shard = try open(file)
      guard let location = try shard.member(row, of: directory) else { return nil }
      if file != path { state.withLock { $0.moved[row.run] = file } }
      return (shard, location)
    }
  }

  private func open(_ path: String) throws(CorpusError) -> MappedShard {
    // One that was shortened may be whole again, as a copy that was under way ends.
    if let shard = state.withLock({ $0.shards[path] }), !shard.isTorn { return shard }
    let shard = try MappedShard(opening: directory.absolute(path), metric: metric)
    try shard.header.requireMember(of: directory.manifest, path: shard.path)
    return state.withLock { state in
      if let other = state.shards[path], !other.isTorn { return other }
      if state.shards.count >= Self.limit { state.shards.remove(at: state.shards.startIndex) }
      state.shards[path] = shard
      return shard
    }
  }
}

extension MappedShard {
  /// Where a run of the table lies, or nil if it is not here.
  ///
  /// - Throws: `indexStale` where the index says something else of the run than the shard.
  func member(_ row: RunTable.Row, of directory: CorpusDirectory) throws(CorpusError) -> Location? {
    guard let location = location(of: row.run) else { return nil }
    guard location.count == row.checkpoints else {
      throw directory.indexStale(row.run, in: path, checkpoints: location.count, row.checkpoints)
    }
    guard location.sums == row.sums else {
      throw directory.indexStale(
        "run \(row.run) in \(path) has other sums of its parameters than the index says")
    }
    return location
  }
}
