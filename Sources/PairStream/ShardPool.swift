import Corpus
import MetricIndex
import ShardStore
import Synchronization

/// The shards of a table's runs, each mapped when it is first needed.
///
/// Compaction may move runs to other shards at any time; the pool then asks the index where they have gone.
final class ShardPool: Sendable {
  private let directory: CorpusDirectory
  private let table: RunTable
  private let metric: Int
  private let index: IndexReader
  private let state: Mutex<State>

  private struct State {
    /// By path.
    var shards: [String: MappedShard] = [:]
    /// Where runs have moved to since the table was made.
    var moved: [Int64: String] = [:]
  }

  /// Enough for 117,594 runs in sealed shards many times over; of files of single runs, the oldest are closed.
  private static let limit = 8_192

  init(_ directory: CorpusDirectory, table: RunTable, metric: Int, index: IndexReader) {
    self.directory = directory
    self.table = table
    self.metric = metric
    self.index = index
    state = Mutex(State())
  }

  /// The shard of a run, and the run's place in it.
  func find(_ place: Int) throws(CorpusError) -> (shard: MappedShard, place: MappedShard.Place) {
    // On a thread of the stream's own, which knows nothing of a fork.
    try ForkGate.pass { () throws(CorpusError) in try locate(place) }
  }

  private func locate(_ place: Int) throws(CorpusError) -> (shard: MappedShard, place: MappedShard.Place) {
    let row = table.rows[place]
    let path = state.withLock { $0.moved[row.run] } ?? table.shards[Int(row.shard)].path
    do throws(CorpusError) {
      let shard = try open(path)
      if let place = try shard.member(row) { return (shard, place) }
    } catch {
      // The index knows a moved run's new shard once the old one is gone.
      guard !Files.exists(directory.absolute(path)) else { throw error }
    }
    guard let now = try index.shard(of: row.run), now != path else {
      throw CorpusError(
        .damagedShard, "\(directory.absolute(path)) has vanished with run \(row.run)",
        remedy: "restore it from a copy, or run `corpus repair \(directory.path)`")
    }
    let shard = try open(now)
    guard let place = try shard.member(row) else {
      throw CorpusError(
        .indexStale, "run \(row.run) is not in \(shard.path), as the index says",
        remedy: "run `corpus index \(directory.path)`")
    }
    state.withLock { $0.moved[row.run] = now }
    return (shard, place)
  }

  private func open(_ path: String) throws(CorpusError) -> MappedShard {
    if let shard = state.withLock({ $0.shards[path] }) { return shard }
    let shard = try MappedShard(opening: directory.absolute(path), metric: metric)
    try shard.header.requireMember(of: directory.manifest, path: shard.path)
    return state.withLock { state in
      if let other = state.shards[path] { return other }
      if state.shards.count >= Self.limit { state.shards.remove(at: state.shards.startIndex) }
      state.shards[path] = shard
      return shard
    }
  }
}

extension MappedShard {
  /// Where a run of the table lies, or nil if it is not here.
  fileprivate func member(_ row: RunTable.Row) throws(CorpusError) -> Place? {
    guard let place = place(of: row.run) else { return nil }
    guard place.count == row.checkpoints else {
      throw CorpusError(
        .indexStale,
        "run \(row.run) in \(path) has \(place.count) checkpoints, and the index says \(row.checkpoints)",
        remedy: "make the index again with `corpus index --rebuild`")
    }
    return place
  }
}
