import Corpus
import MetricIndex
import ShardStore

/// Where the runs of a corpus lie, for one thread: it remembers the shards that it has met.
final class RunFinder {
  /// A run's shard, and its place there.
  typealias Found = (shard: MappedShard, place: MappedShard.Place)

  private let table: RunTable
  private let pool: ShardPool
  /// By their places in the table.
  private var shards: [MappedShard?]
  private var scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)
  /// What was found last, by the low bits of the run's place: a draw asks for the same run several times.
  private var recent: [(run: Int, found: Found)?] = [nil, nil, nil, nil]

  init(_ table: RunTable, pool: ShardPool) {
    self.table = table
    self.pool = pool
    shards = Array(repeating: nil, count: min(table.shards.count, 8_192))
  }

  deinit { scratch.deallocate() }

  /// - Parameter run: its place in the table.
  func find(_ run: Int) throws(CorpusError) -> Found {
    if let last = recent[run & 3], last.run == run, !last.found.shard.isTorn { return last.found }
    let found = try search(run)
    recent[run & 3] = (run, found)
    return found
  }

  private func search(_ run: Int) throws(CorpusError) -> Found {
    let row = table.rows[run]
    let number = Int(row.shard)
    if number < shards.count, let shard = shards[number], !shard.isTorn,
      let place = try shard.member(row, of: directory)
    {
      return (shard, place)
    }
    let found = try pool.find(run)
    if number < shards.count { shards[number] = found.shard }
    return found
  }

  var directory: CorpusDirectory { pool.directory }

  /// A run as an error calls it.
  func name(_ run: Int) -> String { "run \(table.rows[run].run)" }

  /// Some of a run's metrics, one after the other; until it is asked again.
  func gather(_ metrics: UnsafeBufferPointer<Float>, _ steps: ArraySlice<Int32>) -> UnsafeBufferPointer<Float>
  {
    if scratch.count < steps.count {
      scratch.deallocate()
      scratch = .allocate(capacity: steps.count)
    }
    for (i, step) in steps.enumerated() { scratch.initializeElement(at: i, to: metrics[Int(step)]) }
    return UnsafeBufferPointer(rebasing: scratch[..<steps.count])
  }
}
