import Platform
public import Corpus

/// A shard mapped into memory, for who reads single checkpoints of many runs in any order.
///
/// Of the metrics it keeps one, so that thousands of shards may be open at once; it holds no file open.
public final class MappedShard: Sendable {
  /// Where a run lies in the shard.
  public struct Location: Hashable, Sendable {
    public let run: Int64
    /// The row of its first checkpoint.
    public let firstRow: Int
    /// The number of its checkpoints.
    public let count: Int
    /// Stands for the sums of its parameters.
    package let sums: UInt32
  }

  public let path: String
  public let header: ShardHeader
  /// The header's; it is asked for with every checkpoint.
  public let layout: ChunkLayout
  private let mapping: FileMapping
  private let locations: [Int64: Location]
  private let proven: ProvenParts
  // Of its own rather than in arrays, as it is asked for with every checkpoint; nobody writes to it.
  nonisolated(unsafe) private let bytes: UnsafeRawBufferPointer
  nonisolated(unsafe) private let chunks: UnsafeBufferPointer<StoredRun.Chunk>
  nonisolated(unsafe) private let metric: UnsafeBufferPointer<Float>

  /// Opens a shard and checks that its parts fit together.
  ///
  /// - Parameter metric: the index of the metric that ``metric(row:)`` tells, among those of the corpus.
  public init(opening path: String, metric: Int) throws(CorpusError) {
    let reader = try ShardReader(opening: path)
    self.path = path
    header = reader.header
    layout = header.chunkLayout
    mapping = try FileMapping(opening: path)
    bytes = mapping.bytes
    locations = Dictionary(
      reader.runs.map { run in
        let sums = ParameterSums(sum: run.sum, sumOfSquares: run.sumOfSquares)
        return (run.seed, Location(run: run.seed, firstRow: run.firstRow, count: run.count, sums: sums.tag))
      }, uniquingKeysWith: { $1 })
    chunks = Self.copy(reader.runs.flatMap(\.chunks))
    proven = ProvenParts(count: chunks.count)
    self.metric = Self.copy(reader.metrics[metric])
    guard chunks.allSatisfy({ Int($0.offset) + $0.bytes <= bytes.count }) else {
      throw CorpusError.damagedShard(path, "it has become shorter while it was opened")
    }
  }

  deinit {
    metric.deallocate()
    chunks.deallocate()
  }

  private static func copy<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafeBufferPointer<Value> {
    let copy = UnsafeMutableBufferPointer<Value>.allocate(capacity: values.count)
    _ = copy.initialize(from: values)
    return UnsafeBufferPointer(copy)
  }

  /// Where a run lies, or nil if it is not in this shard.
  public func location(of run: Int64) -> Location? { locations[run] }

  /// The metric of the checkpoint in a row.
  public func metric(row: Int) -> Float { metric[row] }

  /// The metrics of a run's checkpoints, in order; there as long as the shard is.
  public func metrics(of location: Location) -> UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(rebasing: metric[location.firstRow..<(location.firstRow + location.count)])
  }

  /// Whether the file has been shortened, or cannot be read, since it was opened: what it gave may be zeros.
  package var isTorn: Bool { FileMapping.isAnyTorn && mapping.isTorn }

  /// Refuses what was read of a file that was shortened meanwhile.
  package func requireWhole() throws(CorpusError) {
    guard isTorn else { return }
    throw CorpusError.damagedShard(path, "it has become shorter, or its disk fails, while it is read")
  }

  /// Likewise, for what ends in a zero, as a page does in which the file now ends.
  package func requireUnchanged() throws(CorpusError) {
    guard !mapping.isUnchanged() else { return }
    throw CorpusError.damagedShard(path, "it has changed while it is read")
  }

  /// The compressed bytes of the chunk that holds a row, proven when it is first asked for.
  public func chunk(ofRow row: Int) throws(CorpusError) -> UnsafeRawBufferPointer {
    let number = row / layout.rows
    let bytes = bytes(ofChunk: number)
    if !proven.contains(number) {
      try chunks[number].require(bytes, layout.codec, source: path)
      try requireWhole()
      proven.insert(number)
    }
    return bytes
  }

  private func bytes(ofChunk number: Int) -> UnsafeRawBufferPointer {
    let start = Int(chunks[number].offset)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<(start + chunks[number].bytes)])
  }

  /// The bytes of the file from the first to the last chunk of a run.
  public func extent(of location: Location) -> Range<Int> {
    let first = chunks[location.firstRow / layout.rows]
    let last = chunks[(location.firstRow + location.count - 1) / layout.rows]
    return Int(first.offset)..<max(Int(last.offset) + last.bytes, Int(first.offset) + 1)
  }

  /// What reading a row begins with: its floats, or the directory of its chunk.
  public func beginning(ofRow row: Int) -> UnsafeRawBufferPointer {
    let chunk = bytes(ofChunk: row / layout.rows)
    guard layout.codec == .raw else {
      return UnsafeRawBufferPointer(rebasing: chunk.prefix(Self.directoryBytes))
    }
    let size = layout.parameters * MemoryLayout<Float>.stride
    return UnsafeRawBufferPointer(rebasing: chunk.dropFirst(row % layout.rows * size).prefix(size))
  }

  /// About as many as the codes and the directory of a small chunk take.
  private static let directoryBytes = 1024

  /// The P floats of a row where they lie in the file as they are.
  ///
  /// - Returns: nil for a codec that has to decode them.
  public func rawValues(row: Int) throws(CorpusError) -> UnsafePointer<Float>? {
    guard layout.codec == .raw else { return nil }
    let offset = row % layout.rows * layout.parameters * MemoryLayout<Float>.stride
    // Our writer puts chunks at multiples of 64 bytes; where another did not, they are decoded, that is copied.
    guard let base = try chunk(ofRow: row).baseAddress, UInt(bitPattern: base + offset).isMultiple(of: 4)
    else { return nil }
    return (base + offset).assumingMemoryBound(to: Float.self)
  }
}

/// Decodes single checkpoints out of mapped shards of one kind. Serves one thread.
public struct CheckpointDecoder: ~Copyable {
  public let layout: ChunkLayout
  private var codec: ChunkCodec

  public init(_ layout: ChunkLayout) throws(CorpusError) {
    self.layout = layout
    codec = try ChunkCodec(layout)
  }

  /// Decodes a row into P floats.
  public mutating func decode(
    row: Int, of shard: MappedShard, into output: UnsafeMutablePointer<Float>
  ) throws(CorpusError) {
    try codec.decode(shard.chunk(ofRow: row), row: row % layout.rows, into: output, source: shard.path)
  }

  /// Decodes two rows into P floats each; what both are built from, once.
  public mutating func decode(
    rows: (Int, Int), of shard: MappedShard,
    into outputs: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>)
  ) throws(CorpusError) {
    let size = layout.rows
    guard rows.0 / size == rows.1 / size else {
      try decode(row: rows.0, of: shard, into: outputs.0)
      try decode(row: rows.1, of: shard, into: outputs.1)
      return
    }
    try codec.decode(
      shard.chunk(ofRow: rows.0), picks: [UInt32(rows.0 % size), UInt32(rows.1 % size)],
      into: [outputs.0, outputs.1], source: shard.path)
  }

  /// Decodes successive rows of a run, which begins with one of them, into rows.count × P floats.
  public mutating func decode(
    rows: Range<Int>, of shard: MappedShard, into output: UnsafeMutablePointer<Float>
  ) throws(CorpusError) {
    let size = layout.rows
    var row = rows.lowerBound
    while row < rows.upperBound {
      let first = row % size
      let count = min(size - first, rows.upperBound - row)
      let target = UnsafeMutableBufferPointer(
        start: output + (row - rows.lowerBound) * layout.parameters, count: count * layout.parameters)
      try codec.decode(
        shard.chunk(ofRow: row), rows: first..<(first + count), into: target, source: shard.path)
      row += count
    }
  }
}
