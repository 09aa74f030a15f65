import Platform
public import Corpus

/// A run as it lies in a shard: compressed chunks and everything else that the shard says of it.
public struct EncodedRun: Sendable {
  public let seed: Int64
  public let status: RunStatus
  public let iterations: [Int32]
  /// For each metric, one value a checkpoint.
  public let metrics: [[Float]]
  /// The sum of all parameters of all checkpoints, in storage order.
  public let sum: Double
  /// The sum of their squares, likewise.
  public let sumOfSquares: Double
  public let contentHash: ContentHash
  /// The bytes of each HDF5 chunk.
  public let chunks: [[UInt8]]

  /// The number of checkpoints.
  public var count: Int { iterations.count }

  public var compressedBytes: Int { chunks.reduce(0) { $0 + $1.count } }
}

/// Compresses runs for one kind of shard. Serves one thread.
public struct RunEncoder: ~Copyable {
  public let header: ShardHeader
  private var codec: ChunkCodec

  public init(header: ShardHeader) throws(CorpusError) {
    self.header = header
    codec = try ChunkCodec(header.chunkLayout)
  }

  /// - Precondition: the run has the header's parameters and metrics.
  public mutating func encode(_ run: Run) throws(CorpusError) -> EncodedRun {
    precondition(run.parameterCount == header.parameterCount && run.metrics.count == header.metrics.count)
    let sums = ParameterSums(run.parameters)
    return EncodedRun(
      seed: run.seed, status: run.status, iterations: run.iterations, metrics: run.metrics, sum: sums.sum,
      sumOfSquares: sums.sumOfSquares, contentHash: try ContentHash(of: run), chunks: try chunks(of: run))
  }

  private mutating func chunks(of run: Run) throws(CorpusError) -> [[UInt8]] {
    let chunkLength = header.rowsPerChunk * header.parameterCount
    var chunks: [[UInt8]] = []
    var first = 0
    while first < run.parameters.count {
      var values = Array(run.parameters[first..<min(first + chunkLength, run.parameters.count)])
      // Rows past the run's end are zero.
      values.append(contentsOf: repeatElement(0, count: chunkLength - values.count))
      chunks.append(
        try values.withUnsafeBufferPointer { (buffer) throws(CorpusError) in try codec.encode(buffer) })
      first += chunkLength
    }
    return chunks
  }
}

/// The sums from which the normalisation of a corpus follows, added up in storage order so that they can be
/// checked to the bit.
package struct ParameterSums: Equatable {
  private(set) var sum = 0.0
  private(set) var sumOfSquares = 0.0

  init(_ parameters: [Float]) {
    for parameter in parameters {
      let value = Double(parameter)
      sum += value
      sumOfSquares += value * value
    }
    // Which of several NaNs a sum becomes is up to the compiler.
    if sum.isNaN { sum = .nan }
    if sumOfSquares.isNaN { sumOfSquares = .nan }
  }

  package init(sum: Double, sumOfSquares: Double) {
    self.sum = sum
    self.sumOfSquares = sumOfSquares
  }

  /// Stands for both: 32 bits, the same for all that is no number.
  package var tag: UInt32 {
    func bits(_ sum: Double) -> UInt64 { sum.isNaN ? Double.nan.bitPattern : sum.bitPattern }
    let both = (bits(sum), bits(sumOfSquares))
    return UInt32(truncatingIfNeeded: withUnsafeBytes(of: both) { Checksum(of: $0).value })
  }

  /// Equality of bits, as a run that is not finite has sums that equal nothing.
  package static func == (a: Self, b: Self) -> Bool {
    a.sum.bitPattern == b.sum.bitPattern && a.sumOfSquares.bitPattern == b.sumOfSquares.bitPattern
  }
}
