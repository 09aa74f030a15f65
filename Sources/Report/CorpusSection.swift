import Corpus
import Foundation
import GenerativeModel
import MetricIndex
import ShardStore

/// The corpus of a model, from its index: learning curves, metrics, sizes, and what the model's pairs are drawn from.
struct CorpusSection: Encodable, Sendable {
  /// The course of a metric over runs, all of status `ok`.
  struct Curve: Encodable, Sendable {
    let metric: String
    let runs: Int
    /// The mean iteration of the checkpoints of each bin.
    let iterations: [Double]
    /// For each bin the values at ``parts``: (bins, 5).
    @Nullable var quantiles: [[Float]]
    var histogram: Histogram?

    static let parts = [0.05, 0.25, 0.5, 0.75, 0.95]
  }

  struct Histogram: Encodable, Sendable {
    /// (bins + 1).
    let edges: [Double]
    /// The share of all checkpoints in each bin; those beyond the ends count as in the outermost.
    let counts: [Double]
    var layers: [Layer] = []
  }

  /// The shares of some of the checkpoints.
  struct Layer: Encodable, Sendable {
    let name: String
    let shares: [Double]
  }

  struct Fact: Encodable, Sendable {
    let name: String
    let value: String
  }

  struct Size: Encodable, Sendable {
    let shards: Int64
    let float32: Int64
    let index: Int64
  }

  let task: String
  let runs: Int64
  let checkpoints: Int64
  let parameters: Int
  let bytes: Size
  let curves: [Curve]
  let facts: [Fact]

  /// - Throws: what is wrong with the index.
  init(_ description: ModelDescription, _ corpus: CorpusDirectory) throws(CorpusError) {
    let index = try IndexReader(opening: corpus)
    let manifest = corpus.manifest
    let counts = CorpusCounts(try index.rows(CorpusCounts.sql), path: corpus.indexPath)
    (task, runs, checkpoints) = (manifest.task, counts.runs, counts.checkpoints)
    parameters = manifest.architecture.parameterCount
    bytes = Size(
      shards: counts.bytes, float32: 4 * Int64(parameters) * checkpoints, index: counts.indexBytes)
    let pairs = try PairOrigin(description, corpus, index)
    var curves: [Curve] = []
    for metric in manifest.metrics {
      guard var curve = try MetricCourse(metric, index).curve() else { continue }
      if metric.name == description.metric.name, let edges = curve.histogram?.edges {
        curve.histogram?.layers = pairs.layers(edges)
      }
      curves.append(curve)
    }
    // First what the model is prompted by.
    self.curves =
      curves.filter { $0.metric == description.metric.name }
      + curves.filter { $0.metric != description.metric.name }
    facts = Self.facts(counts, bytes, manifest, corpus.path) + pairs.facts
  }

  /// 1234567 as "1,234,567".
  static func grouped(_ number: some BinaryInteger) -> String {
    String(number).replacing(/(\d)(?=(\d{3})+$)/) { "\($0.1)," }
  }

  private static func facts(
    _ counts: CorpusCounts, _ bytes: Size, _ manifest: Manifest, _ path: String
  ) -> [Fact] {
    func megabytes(_ bytes: Int64) -> String { String(format: "%.1f MB", Double(bytes) / 1e6) }
    return [
      Fact(name: "where it was", value: path),
      Fact(name: "architecture", value: manifest.architecture.name),
      Fact(
        name: "runs",
        value:
          "\(grouped(counts.runs)), of which \(grouped(counts.heldOut)) are held out and \(grouped(counts.bad)) are not "
          + "fit to learn from"),
      Fact(
        name: "on disk",
        value: "\(megabytes(bytes.shards)) in \(grouped(counts.shards)) shards (codec \(counts.codecs)) for "
          + "\(megabytes(bytes.float32)) of float32 numbers, and an index of \(megabytes(bytes.index))"),
    ]
  }
}

/// What is counted in an index.
private struct CorpusCounts {
  static let sql = """
    SELECT count(*), total(checkpoints), total(split = 'test'), total(status <> 'ok'),
      (SELECT total(bytes) FROM shards), (SELECT count(*) FROM shards),
      (SELECT group_concat(DISTINCT codec) FROM shards) FROM runs
    """

  let runs, checkpoints, heldOut, bad, bytes, shards, indexBytes: Int64
  let codecs: String

  init(_ rows: [[SQLValue]], path: String) {
    let row = rows.first ?? []
    func number(_ column: Int) -> Int64 {
      row.indices.contains(column) ? Int64(row[column].double ?? 0) : 0
    }
    (runs, checkpoints, heldOut, bad) = (number(0), number(1), number(2), number(3))
    (bytes, shards) = (number(4), number(5))
    codecs = row.last?.text ?? ""
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    indexBytes = (attributes?[.size] as? NSNumber)?.int64Value ?? 0
  }
}
