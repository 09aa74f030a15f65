import ShardStore
import TerminalOutput
package import Corpus
package import MetricIndex

/// The lines of `corpus status`, from the index.
package struct CorpusSummary {
  package private(set) var lines: [(name: String, value: String)] = []

  package init(_ index: IndexReader) throws(CorpusError) {
    let manifest = index.directory.manifest
    let architecture = manifest.architecture
    add("corpus", index.directory.path)
    add("task", "\(manifest.task), generator version \(manifest.generatorVersion)")
    add("architecture", "\(architecture.name), \(Format.count(architecture.parameterCount)) parameters")

    let statuses = try index.rows("SELECT status, count(*), sum(checkpoints) FROM runs GROUP BY status")
    let runs = statuses.reduce(0) { $0 + $1[1].whole }
    let checkpoints = statuses.reduce(0) { $0 + $1[2].whole }
    let bad = statuses.filter { $0[0] != .text(RunStatus.ok.rawValue) }
      .map { "\(Format.count($0[1].whole)) \($0[0].short)" }
    add("runs", ([Format.count(runs)] + bad).joined(separator: ", "))
    add("checkpoints", Format.count(checkpoints))

    let splits = try index.rows("SELECT split, count(*) FROM runs GROUP BY split ORDER BY split DESC")
    add("split", splits.map { "\(Format.count($0[1].whole)) \($0[0].short)" }.joined(separator: ", "))

    let shards = try index.rows(
      "SELECT codec, path LIKE 'shards/%', count(*), sum(bytes) FROM shards GROUP BY 1, 2 ORDER BY 1, 2 DESC")
    let stored = shards.reduce(0) { $0 + $1[3].whole }
    let raw = 4 * architecture.parameterCount * checkpoints
    let kinds = shards.map { row in
      let isSealed = row[1] == .integer(1)
      return "\(Format.count(row[2].whole)) \(isSealed ? "sealed" : "single-run") \(row[0].short)"
    }
    add("shards", kinds.joined(separator: ", "))
    add(
      "on disk",
      "\(Format.bytes(stored)), \(Format.ratio(raw: raw, stored: stored)) smaller than "
        + "\(Format.bytes(raw)) of float32")
    for metric in manifest.metrics { try add(metric, index) }
    if try !index.areMetricsIndexed() {
      add("index", "without indexes on the metrics, since runs were added: `corpus index` makes them")
    }
  }

  private mutating func add(_ name: String, _ value: String) { lines.append((name, value)) }

  private mutating func add(_ metric: Metric, _ index: IndexReader) throws(CorpusError) {
    let best = metric.goal == .minimize ? "min" : "max"
    // Without its index, the best of all is among the best of each run, which are fewer.
    let isAmongBest = if try index.areMetricsIndexed() { false } else { try index.hasImprovements() }
    let (table, column) =
      isAmongBest ? ("best_\(metric.name)", "\"\(metric.name)\"") : ("checkpoints", metric.column)
    // A bare column beside min() or max() is that of the row where it was found: SQLite's documented rule.
    let row = try index.rows("SELECT \(best)(\(column)), run, step FROM \(table)")
    guard let row = row.first, row[0] != .null else { return }
    add(metric.name, "best \(row[0].short), of run \(row[1].short) at step \(row[2].short)")
  }
}

extension SQLValue {
  /// The value of a count or sum of integers.
  package var whole: Int {
    if case .integer(let value) = self { Int(value) } else { 0 }
  }

  /// The value as in a table: real numbers to six digits.
  package var short: String {
    switch self {
    case .null: ""
    case .integer(let value): String(value)
    case .real(let value): Format.short(value)
    case .text(let value): value
    case .blob(let value): "\(value.count) bytes"
    }
  }
}
