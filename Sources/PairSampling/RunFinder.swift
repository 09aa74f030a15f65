package import Corpus
package import MetricIndex
package import ShardStore

/// Where the runs of a corpus lie, for one thread: it remembers the shards that it has met.
package final class RunFinder {
  /// A run's shard, and where it lies there.
  package typealias Found = (shard: MappedShard, location: MappedShard.Location)

  private let table: RunTable
  private let pool: ShardPool
  /// The shards that were met, by their indexes in the table.
  private var shards: [MappedShard?]
  private var scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)
  /// What was found last, by the low bits of the run's index: a draw asks for the same run several times.
  private var recent: [(runIndex: Int, found: Found)?] = [nil, nil, nil, nil]

  package init(_ table: RunTable, pool: ShardPool) {
    self.table = table
    self.pool = pool
    shards = Array(repeating: nil, count: min(table.shards.count, 8_192))
  }

  deinit { scratch.deallocate() }

  /// - Parameter runIndex: the run's index in the table.
  package func find(_ runIndex: Int) throws(CorpusError) -> Found {
    if let last = recent[runIndex & 3], last.runIndex == runIndex, !last.found.shard.isTorn {
      return last.found
    }
    let found = try search(runIndex)
    recent[runIndex & 3] = (runIndex, found)
    return found
  }

  private func search(_ runIndex: Int) throws(CorpusError) -> Found {
    let row = table.rows[runIndex]
    let number = Int(row.shard)
    if number < shards.count, let shard = shards[number], !shard.isTorn,
      let location = try shard.member(row, of: pool.directory)
    {
      return (shard, location)
    }
    let found = try pool.find(runIndex)
    if number < shards.count { shards[number] = found.shard }
    return found
  }

  /// Why a run's metrics cannot be believed.
  func metricsDiffer(_ runIndex: Int) -> CorpusError {
    let run = table.rows[runIndex].run
    return pool.directory.indexStale("the metrics of run \(run) are others than the index says")
  }

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
