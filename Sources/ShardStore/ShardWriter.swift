import Platform
import HDF5Files
import CHDF5
public import Corpus

/// Writes one shard: whole runs only, and the file gets its name when all of them are in it.
///
/// A writer that is dropped before ``finish()`` leaves nothing behind.
public struct ShardWriter: ~Copyable {
  private let output: HDF5Output
  private let parameters: HDF5Object
  private let header: ShardHeader
  private let rows: Int

  private var path: String { output.path }

  private var contentHashes: [ContentHash] {
    stride(from: 0, to: hashes.count, by: 32).map { ContentHash(bytes: Array(hashes[$0..<($0 + 32)])) }
  }

  private var nextRow = 0
  private var iterations: [Int32]
  private var metrics: [[Float]]
  private var seeds: [Int64] = []
  private var firstRows: [Int64] = []
  private var counts: [Int64] = []
  private var statuses: [UInt8] = []
  private var sums: [Double] = []
  private var sumsOfSquares: [Double] = []
  private var hashes: [UInt8] = []
  private var chunkOffsets: [Int64] = []
  private var chunkBytes: [Int64] = []
  private var chunkChecksums: [Int64] = []
  /// How many chunks HDF5 had to look for among all that there are.
  package private(set) var searches = 0

  /// Bytes: for readers that map floats where they lie.
  private static let rawAlignment = 64

  /// Begins a shard, in a directory that is made where it is missing.
  ///
  /// - Parameters:
  ///   - counts: the number of checkpoints of each run that will be appended, in order.
  ///   - bytes: about how many bytes their chunks take; the disk space is taken at once.
  public init(path: String, header: ShardHeader, counts: [Int], bytes: Int) throws(CorpusError) {
    let rows = counts.reduce(0) { $0 + header.rowCount(checkpoints: $1) }
    try Files.createDirectory(Files.split(path).directory)
    let output = try HDF5Output(
      path: path, bytes: Int64(bytes + bytes / 50 + 64 * rows + (64 << 10)),
      alignment: header.codec == .raw ? Self.rawAlignment : 1)
    let values = output.values
    try Self.writeAttributes(header, to: values)
    for group in ["metrics", "runs", "chunks"] { try values.createGroup(group) }
    let properties = try Self.parameterProperties(header, path: path)
    parameters = try values.create(
      "parameters", .float32, [rows, header.parameterCount], properties: properties.id)
    self.header = header
    self.rows = rows
    self.output = output
    iterations = [Int32](repeating: -1, count: rows)
    metrics = header.metrics.map { _ in [Float](repeating: .nan, count: rows) }
  }

  private static func writeAttributes(_ header: ShardHeader, to values: HDF5Values) throws(CorpusError) {
    try values.setAttribute("format", ShardHeader.format)
    try values.setAttribute("version", ShardHeader.version)
    try values.setAttribute("task", header.task)
    try values.setAttribute("architecture", CanonicalJSON.string(header.architecture))
    try values.setAttribute("metrics", CanonicalJSON.string(header.metrics))
    try values.setAttribute("recipe", CanonicalJSON.string(header.recipe))
    try values.setAttribute("generator_version", header.generatorVersion)
    try values.setAttribute("codec", header.codec.rawValue)
  }

  private static func parameterProperties(_ header: ShardHeader, path: String) throws(CorpusError)
    -> HDF5Object
  {
    let properties = HDF5.creation(ch5_dataset_create())
    let chunk = [UInt64(header.rowsPerChunk), UInt64(header.parameterCount)]
    try HDF5.writing(H5Pset_chunk(properties.id, 2, chunk), "chunk shape", of: path)
    for filter in HDF5Filter.pipeline(of: header) {
      try HDF5.writing(
        H5Pset_filter(properties.id, filter.id, 0, filter.values.count, filter.values), "filter", of: path)
    }
    return properties
  }

  /// Adds a run.
  ///
  /// - Precondition: it has the number of checkpoints announced for it.
  public mutating func append(_ run: EncodedRun) throws(CorpusError) {
    precondition(run.chunks.count == header.chunkCount(checkpoints: run.count))
    try HDF5.prepare()
    for (number, chunk) in run.chunks.enumerated() {
      let corner = [UInt64(nextRow + number * header.rowsPerChunk), 0]
      try HDF5.writing(
        H5Dwrite_chunk(parameters.id, HDF5.standard, 0, corner, chunk.count, chunk), "parameters", of: path)
      chunkOffsets.append(try offset(of: chunk, at: corner))
      chunkBytes.append(Int64(chunk.count))
      let checksum = chunk.withUnsafeBytes { Checksum(ofChunk: $0, header.codec).value }
      chunkChecksums.append(Int64(bitPattern: checksum))
    }
    for step in 0..<run.count {
      iterations[nextRow + step] = run.iterations[step]
      for metric in metrics.indices { metrics[metric][nextRow + step] = run.metrics[metric][step] }
    }
    seeds.append(run.seed)
    firstRows.append(Int64(nextRow))
    counts.append(Int64(run.count))
    statuses.append(run.status.code)
    sums.append(run.sum)
    sumsOfSquares.append(run.sumOfSquares)
    hashes.append(contentsOf: run.contentHash.bytes)
    nextRow += header.rowCount(checkpoints: run.count)
  }

  /// Where in the file HDF5 has put the chunk that was just written.
  ///
  /// HDF5 1.10 finds a chunk's address by going through all chunks, which takes minutes in a large shard. But it
  /// puts them at the end of the file, where ``HDF5Output`` makes it, so we look there first, and believe what we read
  /// back.
  private mutating func offset(of chunk: [UInt8], at corner: [UInt64]) throws(CorpusError) -> Int64 {
    var end: haddr_t = 0
    try HDF5.writing(H5Fget_eoa(output.values.file, &end), "parameters", of: path)
    let start = Int64(end) - Int64(chunk.count)
    if start > 0, try output.descriptor.holds(chunk, at: start) { return start }
    searches += 1
    var mask: UInt32 = 0
    var address: haddr_t = 0
    var size: hsize_t = 0
    try HDF5.writing(
      H5Dget_chunk_info_by_coord(parameters.id, corner, &mask, &address, &size), "parameters", of: path)
    return Int64(address)
  }

  /// Writes what belongs to all runs and gives the file its name.
  ///
  /// - Parameters:
  ///   - replacing: whether a shard that has the name already may go.
  ///   - provers: threads that read it back and decode every run before, for who then removes other copies; nil to
  ///     leave that out.
  public consuming func finish(replacing: Bool = true, provers: Int? = nil) throws(CorpusError) {
    precondition(nextRow == rows)
    try HDF5.prepare()
    let values = output.values
    try values.write(iterations, as: .int32, shape: [rows], to: "iteration")
    for (metric, column) in zip(header.metrics, metrics) {
      try values.write(column, as: .float32, shape: [rows], to: "metrics/\(metric.name)")
    }
    let runs = seeds.count
    try values.write(seeds, as: .int64, shape: [runs], to: "runs/seed")
    try values.write(firstRows, as: .int64, shape: [runs], to: "runs/first_row")
    try values.write(counts, as: .int64, shape: [runs], to: "runs/count")
    try values.write(statuses, as: .uint8, shape: [runs], to: "runs/status")
    try values.write(sums, as: .float64, shape: [runs], to: "runs/sum")
    try values.write(sumsOfSquares, as: .float64, shape: [runs], to: "runs/sum_of_squares")
    try values.write(hashes, as: .uint8, shape: [runs, 32], to: "runs/content_hash")
    try values.write(chunkOffsets, as: .int64, shape: [chunkOffsets.count], to: "chunks/offset")
    try values.write(chunkBytes, as: .int64, shape: [chunkBytes.count], to: "chunks/bytes")
    try values.write(chunkChecksums, as: .int64, shape: [chunkChecksums.count], to: "chunks/checksum")
    let (output, path) = (output, path)
    let proof = provers.map { ShardProof(header: header, hashes: contentHashes, workers: $0) }
    _ = consume self
    guard let proof else { return try output.publish(replacing: replacing) }
    try output.publish(replacing: replacing) { (temporary) throws(CorpusError) in
      try proof.require(temporary, as: path)
    }
  }
}

/// A filter as HDF5's property lists name it.
struct HDF5Filter: Equatable {
  let id: Int32
  let values: [UInt32]

  /// HDF5's own filter that codec `zstd` puts before Zstandard; it is told the size of an element.
  private static let shuffle = HDF5Filter(id: 2, values: [4])

  /// The filters of a codec, in the order in which they are applied when writing.
  static func pipeline(of header: ShardHeader) -> [HDF5Filter] {
    switch header.codec {
    case .delta:
      let (columns, rows) = (UInt32(header.parameterCount), UInt32(header.rowsPerChunk))
      return [HDF5Filter(id: 52225, values: [2, columns, rows])]
    case .zstd: return [shuffle, HDF5Filter(id: 32015, values: [3])]
    case .raw: return []
    }
  }
}

extension RunStatus {
  /// The number that stands for it in `/runs/status`.
  var code: UInt8 {
    switch self {
    case .ok: 0
    case .nonfinite: 1
    case .outOfRange: 2
    }
  }

  init?(code: UInt8) {
    guard let status = Self.allCases.first(where: { $0.code == code }) else { return nil }
    self = status
  }
}
