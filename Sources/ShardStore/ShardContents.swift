import HDF5Files
import CHDF5
import Corpus
import Foundation
import Synchronization

/// Everything in a shard but the checkpoints, read through HDF5 and checked to fit together.
struct ShardContents {
  let header: ShardHeader
  let runs: [StoredRun]
  let iterations: [Int32]
  let metrics: [[Float]]

  /// - Parameter fileBytes: the file's length, which no chunk may reach beyond.
  init(_ values: HDF5Values, fileBytes: Int64) throws(CorpusError) {
    let path = values.path
    let parameters = try Self.openParameters(values)
    header = try Self.readHeader(values, rowsPerChunk: parameters.rowsPerChunk)
    let rows = parameters.rows
    guard header.parameterCount == parameters.columns else {
      throw CorpusError.damagedShard(path, "its parameters do not have the length of its architecture")
    }
    try Self.requireFilters(parameters.properties, header, path: path)
    iterations = try values.read("iteration", as: .int32, shape: [rows], fill: 0)
    var columns: [[Float]] = []
    for metric in header.metrics {
      columns.append(try values.read("metrics/\(metric.name)", as: .float32, shape: [rows], fill: 0))
    }
    metrics = columns
    runs = try Self.readRuns(values, header, rows: rows, fileBytes: fileBytes)
  }

  private static func openParameters(
    _ values: HDF5Values
  ) throws(CorpusError) -> ParameterDataset {
    guard try values.hasAttribute("format"), try values.text(attribute: "format") == ShardHeader.format else {
      throw CorpusError(
        .foreignShard, "\(values.path) is an HDF5 file, but no shard of a checkpoint corpus",
        remedy: "move it out of the corpus")
    }
    let version = try values.number(attribute: "version")
    guard version == ShardHeader.version else {
      throw CorpusError(
        .unsupportedVersion,
        "\(values.path) has shard format version \(version), and this program reads version "
          + "\(ShardHeader.version)", remedy: "use the release of checkpoint-corpus that wrote it")
    }
    let dataset = try values.open(dataset: "parameters")
    try values.require(.float32, dataset, "parameters")
    let shape = try values.shape(dataset, rank: 2, "parameters")
    let properties = HDF5Object(
      try HDF5.reading(H5Dget_create_plist(dataset.id), "parameters", of: values.path),
      release: H5Pclose)
    var chunk: [UInt64] = [0, 0]
    guard H5Pget_layout(properties.id) == H5D_CHUNKED, H5Pget_chunk(properties.id, 2, &chunk) == 2,
      chunk[1] == UInt64(shape[1]), (1...65_536).contains(chunk[0]), (1...(1 << 28)).contains(chunk[1]),
      chunk[0] * chunk[1] <= 1 << 29
    else {
      throw CorpusError.damagedShard(values.path, "its parameters are not in chunks of whole checkpoints")
    }
    return ParameterDataset(
      properties: properties, rows: shape[0], columns: shape[1], rowsPerChunk: Int(chunk[0]))
  }

  private static func readHeader(_ values: HDF5Values, rowsPerChunk: Int) throws(CorpusError) -> ShardHeader {
    guard let codec = Codec(rawValue: try values.text(attribute: "codec")) else {
      throw CorpusError.damagedShard(values.path, "its codec is unknown")
    }
    let described = try DescribedNetworks.decode(
      architecture: values.text(attribute: "architecture"), metrics: values.text(attribute: "metrics"),
      recipe: values.text(attribute: "recipe"), path: values.path)
    return ShardHeader(
      task: try values.text(attribute: "task"), architecture: described.architecture,
      metrics: described.metrics, recipe: described.recipe,
      generatorVersion: try values.number(attribute: "generator_version"), codec: codec,
      rowsPerChunk: rowsPerChunk)
  }

  /// Chunks are decoded without HDF5, so the filters must be those of the codec and no others.
  private static func requireFilters(
    _ properties: borrowing HDF5Object, _ header: ShardHeader, path: String
  ) throws(CorpusError) {
    var filters: [HDF5Filter] = []
    for position in 0..<max(H5Pget_nfilters(properties.id), 0) {
      var values = [UInt32](repeating: 0, count: 8)
      var count = values.count
      let id = H5Pget_filter2(properties.id, UInt32(position), nil, &count, &values, 0, nil, nil)
      filters.append(HDF5Filter(id: id, values: Array(values.prefix(count))))
    }
    let expected = HDF5Filter.pipeline(of: header)
    // What the values of shuffle and Zstandard say changes nothing for readers.
    let isRight = header.codec == .zstd ? filters.map(\.id) == expected.map(\.id) : filters == expected
    guard isRight else {
      throw CorpusError.damagedShard(path, "its filters are not those of codec \(header.codec.rawValue)")
    }
  }

  private static func readRuns(
    _ values: HDF5Values, _ header: ShardHeader, rows: Int, fileBytes: Int64
  ) throws(CorpusError) -> [StoredRun] {
    let path = values.path
    let group = try values.open(group: "runs")
    let table = values.datasets(of: group, "runs")
    let seeds: [Int64] = try table.read("seed", as: .int64, shape: nil, fill: 0)
    let n = seeds.count
    guard n <= rows / header.rowsPerChunk else {
      throw CorpusError.damagedShard(path, "it has more runs than chunks")
    }
    let firstRows: [Int64] = try table.read("first_row", as: .int64, shape: [n], fill: 0)
    let counts: [Int64] = try table.read("count", as: .int64, shape: [n], fill: 0)
    let statuses: [UInt8] = try table.read("status", as: .uint8, shape: [n], fill: 0)
    let sums: [Double] = try table.read("sum", as: .float64, shape: [n], fill: 0)
    let squares: [Double] = try table.read("sum_of_squares", as: .float64, shape: [n], fill: 0)
    let hashes: [UInt8] = try table.read("content_hash", as: .uint8, shape: [n, 32], fill: 0)
    guard rows % header.rowsPerChunk == 0 else {
      throw CorpusError.damagedShard(path, "its rows are not whole chunks")
    }
    let chunks = try readChunks(values, count: rows / header.rowsPerChunk, fileBytes: fileBytes)
    var runs: [StoredRun] = []
    var nextRow = 0
    for i in 0..<n {
      guard let status = RunStatus(code: statuses[i]), (1...Int64(rows)).contains(counts[i]),
        firstRows[i] == Int64(nextRow), seeds[i] >= 0,
        nextRow + header.rowCount(checkpoints: Int(counts[i])) <= rows
      else { throw CorpusError.damagedShard(path, "its table of runs makes no sense at run \(seeds[i])") }
      let count = Int(counts[i])
      let firstChunk = nextRow / header.rowsPerChunk
      let chunks = chunks[firstChunk..<(firstChunk + header.chunkCount(checkpoints: count))]
      runs.append(
        StoredRun(
          seed: seeds[i], firstRow: nextRow, count: count, status: status, sum: sums[i],
          sumOfSquares: squares[i],
          contentHash: ContentHash(bytes: Array(hashes[(32 * i)..<(32 * i + 32)])), chunks: Array(chunks)))
      nextRow += header.rowCount(checkpoints: count)
    }
    guard nextRow == rows, Set(seeds).count == n else {
      throw CorpusError.damagedShard(path, "its table of runs does not cover its rows")
    }
    return runs
  }

  /// The place of every chunk, in order of their rows.
  private static func readChunks(
    _ values: HDF5Values, count: Int, fileBytes: Int64
  ) throws(CorpusError) -> [StoredRun.Chunk] {
    let group = try values.open(group: "chunks")
    let table = values.datasets(of: group, "chunks")
    let offsets: [Int64] = try table.read("offset", as: .int64, shape: [count], fill: 0)
    let bytes: [Int64] = try table.read("bytes", as: .int64, shape: [count], fill: 0)
    var checksums = [Int64](repeating: 0, count: count)
    if try table.has(dataset: "checksum") {
      checksums = try table.read("checksum", as: .int64, shape: [count], fill: 0)
    }
    var chunks: [StoredRun.Chunk] = []
    for ((offset, bytes), checksum) in zip(zip(offsets, bytes), checksums) {
      guard offset > 0, bytes > 0, bytes <= fileBytes, offset <= fileBytes - bytes else {
        throw CorpusError.damagedShard(values.path, "chunk \(chunks.count) lies beyond its end")
      }
      chunks.append(
        StoredRun.Chunk(offset: offset, bytes: Int(bytes), checksum: UInt64(bitPattern: checksum)))
    }
    return chunks
  }
}

/// What a shard says of its networks in JSON.
private struct DescribedNetworks: Sendable {
  let architecture: Architecture
  let metrics: [Metric]
  let recipe: JSONValue

  private typealias Texts = [String]

  /// What was decoded last: the shards of a corpus all say the same, and decoding takes longer than reading a small one.
  private static let last = Mutex<(texts: Texts, networks: DescribedNetworks)?>(nil)

  static func decode(
    architecture: String, metrics: String, recipe: String, path: String
  ) throws(CorpusError) -> DescribedNetworks {
    let texts = [architecture, metrics, recipe]
    if let known = last.withLock({ $0 }), known.texts == texts { return known.networks }
    func value<Value: Decodable>(_ text: String, _ name: String) throws(CorpusError) -> Value {
      do {
        return try CanonicalJSON.decode(Value.self, from: Data(text.utf8))
      } catch {
        throw CorpusError.damagedShard(
          path, "its attribute \(name) is not what it should be", cause: "\(error)")
      }
    }
    let networks = DescribedNetworks(
      architecture: try value(architecture, "architecture"), metrics: try value(metrics, "metrics"),
      recipe: try value(recipe, "recipe"))
    last.withLock { $0 = (texts, networks) }
    return networks
  }
}

/// The dataset `/parameters`: how it was made, and its shape.
private struct ParameterDataset: ~Copyable {
  let properties: HDF5Object
  let rows: Int
  let columns: Int
  let rowsPerChunk: Int
}
