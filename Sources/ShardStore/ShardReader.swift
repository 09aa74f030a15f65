import HDF5Files
import Platform
import CHDF5
public import Corpus

/// A run's place in a shard, and what the shard says of it.
public struct StoredRun: Hashable, Sendable {
  /// A chunk's place in the file.
  public struct Chunk: Hashable, BitwiseCopyable, Sendable {
    /// In bytes from the beginning of the file.
    public let offset: Int64
    public let bytes: Int
    /// Of `/chunks/checksum`; 0 where the shard does not have it.
    let checksum: UInt64
  }

  public let seed: Int64
  /// The row of its first checkpoint; all its rows follow each other.
  public let firstRow: Int
  /// The number of checkpoints.
  public let count: Int
  public let status: RunStatus
  public let sum: Double
  public let sumOfSquares: Double
  public let contentHash: ContentHash
  public let chunks: [Chunk]
}

/// An open shard: all it says of its runs, and their checkpoints on demand.
///
/// Everything but the checkpoints is read when it is opened; those are then read at their places in the file
/// and decoded without HDF5, and so outside its lock.
public final class ShardReader: Sendable {
  public let path: String
  public let header: ShardHeader
  public let runs: [StoredRun]
  /// For each row its iteration, -1 where the row belongs to no checkpoint.
  let iterations: [Int32]
  /// For each metric, one value a row.
  let metrics: [[Float]]
  fileprivate let file: Descriptor

  /// Opens a shard and checks that its parts fit together.
  public init(opening path: String) throws(CorpusError) {
    try HDF5.prepare()
    self.path = path
    // Opened first by us: errno then tells why it cannot be read.
    file = try Descriptor(opening: path, 0)
    let size = try Files.size(path)
    let id = H5Fopen(path, ch5_read_only(), HDF5.readingAccess)
    guard id >= 0 else {
      let cause = HDF5.lastMessage()
      if let errno = HDF5.errno(behind: cause) { throw Files.error("read", path, errno: errno) }
      throw CorpusError(
        .damagedShard, "\(path) is \(size == 0 ? "empty" : "no HDF5 file, or a damaged one")",
        remedy: "make its runs again with `corpus repair`, or move it away", cause: cause)
    }
    let hdf5 = HDF5Object(id, release: H5Fclose)
    let values = HDF5Values(file: hdf5.id, path: path, fileBytes: size)
    let contents = try ShardContents(values, fileBytes: size)
    (header, runs, iterations, metrics) = (
      contents.header, contents.runs, contents.iterations, contents.metrics
    )
  }

  /// Opens a shard of a corpus, and refuses one of another corpus or of another run than its name says.
  ///
  /// - Parameter file: relative to the corpus.
  package convenience init(opening file: String, of directory: CorpusDirectory) throws(CorpusError) {
    try self.init(opening: directory.absolute(file))
    try header.requireMember(of: directory.manifest, path: path)
    try requireName(file)
  }

  /// Whether it has the checksums of its chunks and tables, which the first shards lack.
  package var hasChecksums: Bool { runs.allSatisfy { $0.chunks.allSatisfy { $0.checksum != 0 } } }

  /// Refuses a file of a single run that does not hold the one run that its name says.
  package func requireName(_ file: String) throws(CorpusError) {
    guard let seed = CorpusDirectory.seed(ofRunFile: file), runs.map(\.seed) != [seed] else { return }
    throw CorpusError(
      .damagedShard,
      "\(path) does not hold the one run that its name says, but "
        + "\(runs.prefix(3).map { "\($0.seed)" }.joined(separator: ", "))",
      remedy: "give it the name that it had, or make run \(seed) again with `corpus repair`")
  }

  /// The bytes of a run's chunks and all else that a shard says of it, to be stored elsewhere as it is.
  public func encodedRun(at index: Int) throws(CorpusError) -> EncodedRun {
    let run = runs[index]
    var chunks: [[UInt8]] = []
    for chunk in run.chunks {
      let bytes = try bytes(of: chunk)
      try bytes.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
        try chunk.require(
          UnsafeRawBufferPointer(buffer), header.codec, source: "run \(run.seed) in \(path)")
      }
      chunks.append(bytes)
    }
    return EncodedRun(
      seed: run.seed, status: run.status, iterations: iterations(of: run), metrics: metrics(of: run),
      sum: run.sum, sumOfSquares: run.sumOfSquares, contentHash: run.contentHash, chunks: chunks)
  }

  /// The iteration of each of a run's checkpoints.
  public func iterations(of run: StoredRun) -> [Int32] {
    Array(iterations[run.firstRow..<(run.firstRow + run.count)])
  }

  /// For each metric, its values at a run's checkpoints.
  public func metrics(of run: StoredRun) -> [[Float]] {
    metrics.map { Array($0[run.firstRow..<(run.firstRow + run.count)]) }
  }

  /// Reads every chunk through HDF5's own index, as h5py would, and compares it with what ``StoredRun`` says.
  package func checkChunkTable() throws(CorpusError) {
    try HDF5.prepare()
    let hdf5 = HDF5Object(
      try HDF5.reading(H5Fopen(path, ch5_read_only(), HDF5.readingAccess), "header", of: path),
      release: H5Fclose)
    let parameters = try HDF5Values(file: hdf5.id, path: path).open(dataset: "parameters")
    for run in runs {
      for (number, chunk) in run.chunks.enumerated() {
        let corner = [UInt64(run.firstRow + number * header.rowsPerChunk), 0]
        var size: hsize_t = 0
        var mask: UInt32 = 0
        var bytes = [UInt8](repeating: 0, count: chunk.bytes)
        guard H5Dget_chunk_storage_size(parameters.id, corner, &size) >= 0, size == chunk.bytes,
          H5Dread_chunk(parameters.id, HDF5.standard, corner, &mask, &bytes) >= 0, mask == 0,
          try file.holds(bytes, at: chunk.offset)
        else {
          throw CorpusError.damagedShard(
            path, "HDF5 finds another chunk \(number) of run \(run.seed) than /chunks does",
            cause: HDF5.lastMessage())
        }
      }
    }
  }

  func bytes(of chunk: StoredRun.Chunk) throws(CorpusError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: chunk.bytes)
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: chunk.offset)
    }
    return bytes
  }
}

/// Decodes checkpoints out of shards of one kind. Serves one thread.
public struct RunDecoder: ~Copyable {
  private let header: ShardHeader
  private var codec: ChunkCodec
  /// A chunk's bytes, kept from one to the next.
  private var buffer: [UInt8] = []

  public init(header: ShardHeader) throws(CorpusError) {
    self.header = header
    codec = try ChunkCodec(header.chunkLayout)
  }

  /// Reads some successive checkpoints of a run.
  ///
  /// - Returns: steps.count × P, in order.
  /// - Precondition: the steps are the run's, and the shard's header is this decoder's.
  public mutating func parameters(
    of run: StoredRun, steps: Range<Int>, in shard: ShardReader
  ) throws(CorpusError) -> [Float] {
    var values = [Float](repeating: 0, count: steps.count * header.parameterCount)
    try values.withUnsafeMutableBufferPointer { (output) throws(CorpusError) in
      try decode(run, steps: steps, in: shard, into: output)
    }
    return values
  }

  /// Reads some successive checkpoints of a run into memory that is there already.
  ///
  /// - Parameter output: steps.count × P, in order.
  /// - Precondition: the steps are the run's, and the shard's header is this decoder's.
  public mutating func decode(
    _ run: StoredRun, steps: Range<Int>, in shard: ShardReader, into output: UnsafeMutableBufferPointer<Float>
  ) throws(CorpusError) {
    let length = header.parameterCount
    precondition(shard.header == header && steps.lowerBound >= 0 && steps.upperBound <= run.count)
    precondition(output.count == steps.count * length)
    var step = steps.lowerBound
    while step < steps.upperBound {
      let number = step / header.rowsPerChunk
      let chunkStart = number * header.rowsPerChunk
      let end = min(chunkStart + header.rowsPerChunk, steps.upperBound)
      let target = UnsafeMutableBufferPointer(
        rebasing: output[((step - steps.lowerBound) * length)..<((end - steps.lowerBound) * length)])
      let chunk = run.chunks[number]
      if buffer.count < chunk.bytes { buffer = [UInt8](repeating: 0, count: chunk.bytes) }
      try buffer.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
        let bytes = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<chunk.bytes])
        try shard.file.read(into: bytes, at: chunk.offset)
        let stored = UnsafeRawBufferPointer(bytes)
        try chunk.require(stored, header.codec, source: "run \(run.seed) in \(shard.path)")
        try codec.decode(
          stored, rows: (step - chunkStart)..<(end - chunkStart), into: target,
          source: "run \(run.seed) in \(shard.path)")
      }
      step = end
    }
  }

  /// Runs of any task had the limit once.
  private func limit(of run: StoredRun, in shard: ShardReader) -> Float? {
    run.status == .outOfRange ? RunStatus.limit : RunStatus.limit(ofTask: shard.header.task)
  }

  /// Reads a whole run, and proves it against its content hash, its sums and its status.
  public mutating func run(at index: Int, in shard: ShardReader) throws(CorpusError) -> Run {
    let stored = shard.runs[index]
    let run = Run(
      seed: stored.seed, iterations: shard.iterations(of: stored), metrics: shard.metrics(of: stored),
      parameters: try parameters(of: stored, steps: 0..<stored.count, in: shard),
      limit: limit(of: stored, in: shard))
    let sums = ParameterSums(run.parameters)
    guard try ContentHash(of: run) == stored.contentHash, run.status == stored.status,
      sums == ParameterSums(sum: stored.sum, sumOfSquares: stored.sumOfSquares)
    else {
      throw CorpusError(
        .damagedShard,
        "run \(stored.seed) in \(shard.path) is damaged: its contents do not have the "
          + "recorded hash",
        remedy: "restore the file from a copy, or make its runs again with `corpus repair`")
    }
    return run
  }
}
