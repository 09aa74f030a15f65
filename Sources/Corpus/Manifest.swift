package import Foundation

/// How the bytes of parameter vectors are stored in a shard.
public enum Codec: String, Sendable, Codable, CaseIterable {
  /// Differences between checkpoints next to each other, with a prefix code for the number of their bits: the
  /// smallest, and fast at any one checkpoint. HDF5 filter 52225.
  case delta
  /// Shuffle and the registered Zstandard filter 32015: read by h5py with hdf5plugin, without this package.
  case zstd
  /// The floats as they are, mapped into memory by readers: for fast disks.
  case raw
}

/// Which runs are held out: the last ones in order of their numbers.
public struct SplitRule: Hashable, Sendable, Codable {
  /// The part of all runs that is held out, at most ``testLimit`` runs.
  public var testFraction: Double
  public var testLimit: Int

  enum CodingKeys: String, CodingKey {
    case testFraction = "test_fraction"
    case testLimit = "test_limit"
  }

  /// 5 %, and at most `testLimit`: on the published numbers of runs this is exactly the published split.
  public init(testFraction: Double = 0.05, testLimit: Int) {
    self.testFraction = testFraction
    self.testLimit = testLimit
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    testFraction = try container.decode(Double.self, forKey: .testFraction)
    testLimit = try container.decode(Int.self, forKey: .testLimit)
    guard (0...1).contains(testFraction), testLimit >= 0 else {
      throw DecodingError.dataCorruptedError(
        forKey: .testFraction, in: container, debugDescription: "not a part of the runs")
    }
  }

  /// How many of this many runs are held out.
  public func testCount(runs: Int) -> Int {
    min(testLimit, Int((Double(runs) * testFraction).rounded(.up)))
  }
}

/// What `corpus.json` says: everything that the runs of a corpus have in common.
public struct Manifest: Hashable, Sendable, Codable {
  public static let format = "checkpoint-corpus"
  public static let version = 1
  /// How long a `corpus.json` may be, and so each of its parts where shards repeat them, in bytes.
  package static let byteLimit = 16 << 20
  /// Columns of a table in SQLite, 2,000 at most, but for those that are not metrics.
  private static let metricLimit = 1_990

  public var format = Self.format
  public var version = Self.version
  public var task: String
  public var architecture: Architecture
  public var metrics: [Metric]
  /// Everything that determines a run but its seed.
  public var recipe: JSONValue
  /// The version of the tasks that the corpus was begun with; 0 where its runs were made elsewhere.
  public var generatorVersion: Int
  public var split: SplitRule
  /// How new shards are stored; each shard also says it of itself.
  public var codec: Codec

  enum CodingKeys: String, CodingKey {
    case format, version, task, architecture, metrics, recipe, split, codec
    case generatorVersion = "generator_version"
  }

  public init(
    task: String, architecture: Architecture, metrics: [Metric], recipe: JSONValue, generatorVersion: Int,
    split: SplitRule, codec: Codec
  ) {
    self.task = task
    self.architecture = architecture
    self.metrics = metrics
    self.recipe = recipe
    self.generatorVersion = generatorVersion
    self.split = split
    self.codec = codec
  }

  /// Reads the text of a `corpus.json`.
  package init(json data: Data, path: String) throws(CorpusError) {
    struct Version: Decodable {
      var format: String?
      var version: Int?
    }
    guard let head = try? CanonicalJSON.decode(Version.self, from: data) else {
      throw CorpusError(
        .notACorpus, "\(path) is damaged: it is no JSON object",
        remedy: "restore it from a copy, or from the attributes of any shard, which repeat it")
    }
    guard head.format == Self.format else {
      throw CorpusError(
        .notACorpus, "\(path) is not the manifest of a checkpoint corpus",
        remedy: "name the directory that `corpus generate --out` made")
    }
    guard head.version == Self.version else {
      throw CorpusError(
        .unsupportedVersion,
        "\(path) has format version \(head.version.map(String.init) ?? "?"), and this program reads version "
          + "\(Self.version)", remedy: "use the release of checkpoint-corpus that wrote it, or a newer one")
    }
    do throws(JSONProblem) {
      self = try CanonicalJSON.decode(Manifest.self, from: data)
    } catch {
      throw CorpusError(
        .notACorpus, error.refusal.map { "in \(path), \($0.message)" } ?? "\(path) is damaged: \(error)",
        remedy: error.refusal?.remedy
          ?? "restore it from a copy of this corpus, or of another one of the same recipe")
    }
    guard metrics.allSatisfy(\.isColumnName), Set(metrics.map(\.name)).count == metrics.count else {
      throw CorpusError(
        .notACorpus, "\(path) names metrics that cannot be columns",
        remedy: "restore it from a copy of this corpus")
    }
  }

  /// Refuses what no corpus can be made of: the architecture and the metrics of somebody's own task.
  public func validate() throws(CorpusError) {
    func require(_ condition: Bool, _ message: String, _ remedy: String) throws(CorpusError) {
      if !condition { throw CorpusError(.invalidArgument, message, remedy: remedy) }
    }
    try require(!task.isEmpty, "the task has no name", "give it one")
    // Shards keep it as a text that ends at a zero.
    try require(!task.utf8.contains(0), "the task's name has a zero character in it", "leave it out")
    let names = architecture.tensors.map(\.name)
    try require(
      Set(names).count == names.count, "two tensors of the architecture have the same name",
      "give each a name of its own")
    try architecture.permutations?.validate(architecture.tensors)
    for metric in metrics {
      try require(
        metric.isColumnName, "a metric cannot be called \"\(metric.name)\"",
        "use lower-case letters, digits and _, and not run, step, iteration or epoch")
    }
    try require(
      metrics.count <= Self.metricLimit, "there are \(metrics.count) metrics",
      "log at most \(Self.metricLimit), as the index has a column for each")
    try require(
      Set(metrics.map(\.name)).count == metrics.count, "two metrics have the same name",
      "give each a name of its own")
    let bytes = try CanonicalJSON.data(self, pretty: true).count
    try require(
      bytes <= Self.byteLimit, "architecture, recipe and metrics take \(bytes) bytes as JSON",
      "make them shorter: corpus.json may have \(Self.byteLimit)")
  }

  /// Refuses metrics that a new corpus should not have; those of earlier ones go on.
  package func requireOwnColumns() throws(CorpusError) {
    let others: Set = [
      "seed", "shard", "split", "status", "checkpoints", "first_row", "sum", "sum_of_squares", "content_hash",
      "parameters",
    ]
    for metric in metrics where others.contains(metric.name) {
      throw CorpusError(
        .invalidArgument,
        "a metric cannot be called \"\(metric.name)\", as SQL and exported files have another column of that name",
        remedy:
          "call it otherwise, and not \(others.subtracting([metric.name]).sorted().joined(separator: ", "))")
    }
  }

  /// Refuses, with what differs, a corpus whose runs would not be those of `other`.
  public func requireSameRuns(as other: Manifest, path: String) throws(CorpusError) {
    guard task == other.task else {
      throw CorpusError(
        .differentTask, "\(path) is a corpus of task \(task), not \(other.task)",
        remedy: "choose another --out directory")
    }
    let isImported = recipe["imported_from"] != nil
    guard isImported == (other.recipe["imported_from"] != nil) else {
      throw CorpusError(
        .differentRecipe,
        "the runs of \(path) were \(isImported ? "imported" : "generated"), and others cannot join them",
        remedy: "choose another --out directory")
    }
    guard recipe == other.recipe else {
      throw CorpusError(
        .differentRecipe, "\(path) has another recipe (\(Self.differences(recipe, other.recipe)))",
        remedy: "use the recipe of this corpus, or choose another --out directory")
    }
    guard generatorVersion == other.generatorVersion || other.generatorVersion != 0 else {
      throw CorpusError(
        .differentRecipe, "the runs of \(path) are made by `corpus generate`, and others cannot be added",
        remedy: "store yours in a corpus of their own")
    }
    guard generatorVersion == other.generatorVersion else {
      throw CorpusError(
        .differentRecipe,
        "\(path) was made by generator version \(generatorVersion), and this program's is "
          + "\(other.generatorVersion)",
        remedy: "go on with the release that began it, or choose another --out directory")
    }
    guard architecture == other.architecture, metrics == other.metrics else {
      throw CorpusError(
        .differentRecipe, "\(path) has another architecture or other metrics than task \(task)",
        remedy: "restore its corpus.json from a copy, or choose another --out directory")
    }
    // Corpora from before there were groups, and writers that declare none, go on as they are.
    if let mine = architecture.permutations, let others = other.architecture.permutations, mine != others {
      throw CorpusError(
        .differentRecipe, "\(path) declares other permutation groups of its tensors",
        remedy: "leave them out, as the corpus has them already, or choose another directory")
    }
  }

  /// The members in which two recipes differ, such as "epochs 25, not 50".
  private static func differences(_ mine: JSONValue, _ other: JSONValue) -> String {
    let a = mine.leaves
    let b = other.leaves
    return Set(a.keys).union(b.keys).sorted().filter { a[$0] != b[$0] }.map {
      "\($0) \(a[$0]?.description ?? "missing"), not \(b[$0]?.description ?? "missing")"
    }.joined(separator: "; ")
  }
}

extension Metric {
  /// The metric's column in SQL, whatever else its name may mean there.
  public var column: String { Self.column(of: name) }

  /// The column of the metric that is called so.
  public static func column(of name: String) -> String { "checkpoints.\"\(name)\"" }

  /// Whether the name can stand in SQL, in quotes, and in an HDF5 path as it is.
  fileprivate var isColumnName: Bool {
    let reserved: Set = ["run", "step", "iteration", "epoch"]
    return name.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil && !reserved.contains(name)
  }
}
