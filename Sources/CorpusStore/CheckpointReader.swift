package import Corpus
package import MetricIndex
import ShardStore

/// Reads checkpoints of stored runs, best in order of the runs; keeps one shard open. Serves one thread.
package struct CheckpointReader: ~Copyable {
  /// Some checkpoints of one run.
  package struct Rows {
    package let steps: [Int]
    package let iterations: [Int32]
    /// For each metric, one value a checkpoint.
    package let metrics: [[Float]]
    /// Checkpoints × P.
    package let parameters: [Float]
  }

  private let index: IndexReader
  private var shard: ShardReader?
  private var positions: [Int64: Int] = [:]
  private var decoder: RunDecoder?
  private var header: ShardHeader?

  package init(_ index: IndexReader) { self.index = index }

  /// Reads checkpoints, each chunk once.
  ///
  /// - Parameters:
  ///   - steps: ascending.
  ///   - body: called with the steps of each chunk that has some.
  package mutating func read(
    _ steps: [Int], of run: Int64, body: (Rows) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let (shard, position) = try locate(run)
    let stored = shard.runs[position]
    let iterations = shard.iterations(of: stored)
    let metrics = shard.metrics(of: stored)
    let length = shard.header.parameterCount
    let rowsPerChunk = shard.header.rowsPerChunk
    guard steps.allSatisfy({ (0..<stored.count).contains($0) }) else {
      throw index.directory.indexStale(
        "\(shard.path) does not hold the checkpoints of run \(run) that the index names")
    }
    var next = 0
    while next < steps.count {
      let chunk = steps[next] / rowsPerChunk
      let end = steps[next...].firstIndex { $0 / rowsPerChunk != chunk } ?? steps.count
      let wanted = Array(steps[next..<end])
      let first = wanted[0]
      var values = try decode(stored, first..<(wanted[wanted.count - 1] + 1), in: shard)
      if values.count > wanted.count * length {
        // Closed up towards the beginning, where what is overwritten is no longer needed.
        for (row, step) in wanted.enumerated() where step - first > row {
          values.withUnsafeMutableBufferPointer { buffer in
            let source = UnsafeMutableBufferPointer(
              rebasing: buffer[((step - first) * length)..<((step - first + 1) * length)])
            _ = UnsafeMutableBufferPointer(rebasing: buffer[(row * length)..<((row + 1) * length)])
              .update(from: source)
          }
        }
        values.removeLast(values.count - wanted.count * length)
      }
      try body(
        Rows(
          steps: wanted, iterations: wanted.map { iterations[$0] },
          metrics: metrics.map { metric in wanted.map { metric[$0] } }, parameters: values))
      next = end
    }
  }

  /// Reads a whole run, proven against its content hash.
  package mutating func run(_ run: Int64) throws(CorpusError) -> Run {
    let (shard, position) = try locate(run)
    try prepareDecoder(for: shard)
    guard var decoder = decoder.take() else { preconditionFailure("there is a decoder now") }
    let result = Result { () throws(CorpusError) in try decoder.run(at: position, in: shard) }
    self.decoder = consume decoder
    return try result.get()
  }

  private mutating func decode(
    _ run: StoredRun, _ steps: Range<Int>, in shard: ShardReader
  ) throws(CorpusError) -> [Float] {
    try prepareDecoder(for: shard)
    guard var decoder = decoder.take() else { preconditionFailure("there is a decoder now") }
    let result = Result { () throws(CorpusError) in try decoder.parameters(of: run, steps: steps, in: shard) }
    self.decoder = consume decoder
    return try result.get()
  }

  private mutating func prepareDecoder(for shard: ShardReader) throws(CorpusError) {
    if header == shard.header { return }
    decoder = try RunDecoder(header: shard.header)
    header = shard.header
  }

  private mutating func locate(_ run: Int64) throws(CorpusError) -> (shard: ShardReader, position: Int) {
    if let shard, let position = positions[run] { return (shard, position) }
    return try index.locate(run) { (file) throws(CorpusError) in
      let shard = try open(file)
      return positions[run].map { (shard, $0) }
    }
  }

  private mutating func open(_ file: String) throws(CorpusError) -> ShardReader {
    let shard = try ShardReader(opening: index.directory.absolute(file))
    try shard.header.requireMember(of: index.directory.manifest, path: shard.path)
    positions = Dictionary(
      shard.runs.enumerated().map { ($1.seed, $0) }, uniquingKeysWith: { first, _ in first })
    self.shard = shard
    return shard
  }
}
