import MetricIndex
package import Corpus
import ShardStore

extension CorpusReader {
  /// Some checkpoints of one run.
  package struct Checkpoints {
    package let steps: [Int]
    package let iterations: [Int32]
    /// For each metric, one value a checkpoint.
    package let metrics: [[Float]]
    /// (steps, P)
    package let parameters: [Float]
  }

  /// Reads checkpoints of a run, each chunk once.
  ///
  /// - Parameters:
  ///   - steps: ascending.
  ///   - body: called with the checkpoints of each chunk that has some.
  /// - Throws: `unknownRun`, `indexStale` for steps that the run has not, `damagedShard`.
  package func read(
    _ steps: [Int], of run: Int64, body: (Checkpoints) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let (shard, position) = try findAmongOpen(run)
    let stored = shard.runs[position]
    let (iterations, metrics) = (shard.iterations(of: stored), shard.metrics(of: stored))
    let (length, rowsPerChunk) = (shard.header.parameterCount, shard.header.rowsPerChunk)
    guard steps.allSatisfy({ (0..<stored.count).contains($0) }) else {
      throw directory.indexStale(
        "\(shard.path) does not hold the checkpoints of run \(run) that the index names")
    }
    var decoder = try RunDecoder(header: shard.header)
    var rest = steps[...]
    while let first = rest.first {
      let chunk = first / rowsPerChunk
      let wanted = Array(rest.prefix { $0 / rowsPerChunk == chunk })
      rest = rest.dropFirst(wanted.count)
      var parameters = try decoder.parameters(
        of: stored, steps: first..<(wanted[wanted.count - 1] + 1), in: shard)
      if parameters.count > wanted.count * length {
        parameters = wanted.flatMap { parameters[(($0 - first) * length)..<(($0 - first + 1) * length)] }
      }
      try body(
        Checkpoints(
          steps: wanted, iterations: wanted.map { iterations[$0] },
          metrics: metrics.map { metric in wanted.map { metric[$0] } }, parameters: parameters))
    }
  }
}
