public import Corpus

/// What a shard says of all its runs: the attributes of the HDF5 file, and the shape of its chunks.
public struct ShardHeader: Hashable, Sendable {
  public static let format = "checkpoint-corpus shard"
  public static let version = 1

  public let task: String
  public let architecture: Architecture
  public let metrics: [Metric]
  public let recipe: JSONValue
  public let generatorVersion: Int
  public let codec: Codec
  /// G: how many checkpoints of one run an HDF5 chunk holds. Every run begins with a new chunk.
  public let rowsPerChunk: Int

  /// The header of new shards of a corpus.
  ///
  /// - Parameter checkpoints: how many checkpoints its runs usually have; the chunks are cut to suit.
  public init(manifest: Manifest, codec: Codec, checkpoints: Int) {
    task = manifest.task
    architecture = manifest.architecture
    metrics = manifest.metrics
    recipe = manifest.recipe
    generatorVersion = manifest.generatorVersion
    self.codec = codec
    rowsPerChunk = codec.rowsPerChunk(checkpoints: checkpoints)
  }

  init(
    task: String, architecture: Architecture, metrics: [Metric], recipe: JSONValue, generatorVersion: Int,
    codec: Codec, rowsPerChunk: Int
  ) {
    self.task = task
    self.architecture = architecture
    self.metrics = metrics
    self.recipe = recipe
    self.generatorVersion = generatorVersion
    self.codec = codec
    self.rowsPerChunk = rowsPerChunk
  }

  /// The same runs in another codec.
  public func replacing(codec: Codec, checkpoints: Int) -> ShardHeader {
    ShardHeader(
      task: task, architecture: architecture, metrics: metrics, recipe: recipe,
      generatorVersion: generatorVersion, codec: codec,
      rowsPerChunk: codec.rowsPerChunk(checkpoints: checkpoints))
  }

  var chunkLayout: ChunkLayout {
    ChunkLayout(codec: codec, rows: rowsPerChunk, parameters: parameterCount)
  }

  /// P: the length of a parameter vector.
  public var parameterCount: Int { architecture.parameterCount }

  /// How many chunks a run of so many checkpoints takes.
  func chunkCount(checkpoints: Int) -> Int { (checkpoints + rowsPerChunk - 1) / rowsPerChunk }

  /// How many rows a run takes: whole chunks.
  package func rowCount(checkpoints: Int) -> Int { chunkCount(checkpoints: checkpoints) * rowsPerChunk }

  /// Refuses a shard that does not belong to a corpus.
  public func requireMember(of manifest: Manifest, path: String) throws(CorpusError) {
    let isMember =
      task == manifest.task && recipe == manifest.recipe && architecture == manifest.architecture
      && metrics == manifest.metrics && generatorVersion == manifest.generatorVersion
    guard isMember else {
      throw CorpusError(
        .foreignShard,
        "\(path) belongs to another corpus: its task, recipe or architecture is not that of "
          + "corpus.json", remedy: "move it to its own corpus")
    }
  }
}

/// What one needs to know of a shard to decode its chunks.
public struct ChunkLayout: Hashable, Sendable {
  public let codec: Codec
  /// G.
  public let rows: Int
  /// P.
  public let parameters: Int
}

extension Codec {
  /// The HDF5 chunk's rows that waste least on runs of so many checkpoints.
  func rowsPerChunk(checkpoints: Int) -> Int {
    switch self {
    case .zstd: return min(16, max(checkpoints, 1))
    case .delta, .raw:
      if checkpoints <= 25 { return max(checkpoints, 1) }
      func padding(_ rows: Int) -> Int { (rows - checkpoints % rows) % rows }
      // Around 20 the ratio and the cost of a random access are both good; see Schemas/delta-codec.md. As one frame of
      // each chunk is raw, rather more.
      let preferred = [25, 20, 24, 23, 22, 21, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10]
      return preferred.min { padding($0) < padding($1) } ?? 25
    }
  }
}
