import ShardStore
import TerminalOutput
import Corpus
import MetricIndex
import Overview

/// What `corpus show` says of a run.
struct RunView {
  let facts: [(name: String, value: String)]
  /// The learning curve, several lines.
  let chart: String

  init(run: Int64, metric name: String?, index: IndexReader) throws(CorpusError) {
    let manifest = index.directory.manifest
    guard let metric = name.map({ n in manifest.metrics.first { $0.name == n } }) ?? manifest.metrics.last
    else {
      throw CorpusError(
        .invalidRecipe, "\(index.directory.path) has no metric \(name ?? "")",
        remedy: "choose one of " + manifest.metrics.map(\.name).joined(separator: ", "))
    }
    let rows = try index.rows(
      "SELECT status, split, checkpoints, content_hash, path FROM runs JOIN shards USING (shard) "
        + "WHERE run = \(run)")
    guard let row = rows.first else { throw try Self.unknown(run, index) }
    let curve = try index.rows(
      "SELECT iteration, \(metric.column) FROM checkpoints WHERE run = \(run) ORDER BY step")
    let points = curve.compactMap { row -> (x: Double, y: Double)? in
      guard case .integer(let x) = row[0], case .real(let y) = row[1], y.isFinite else { return nil }
      return (Double(x), y)
    }
    facts = [
      ("run", "\(run) of \(index.directory.path) (\(manifest.task))"),
      ("status", "\(row[0].short), in the \(row[1].short) split"),
      ("checkpoints", row[2].short),
      (metric.name, Self.outcome(points.map(\.y), metric)),
      ("stored in", row[4].short),
      ("content hash", row[3].short),
      ("recipe", Self.recipe(manifest.recipe)),
    ]
    chart = TerminalChart(points: points, xLabel: "iteration", yLabel: metric.name).text
  }

  private static func outcome(_ values: [Double], _ metric: Metric) -> String {
    guard let first = values.first, let last = values.last else { return "no finite value" }
    let best = (metric.goal == .minimize ? values.min() : values.max()) ?? last
    return "\(Format.short(first)) at first, \(Format.short(best)) at best, \(Format.short(last)) at last"
  }

  /// The recipe's numbers by name, several a line.
  private static func recipe(_ recipe: JSONValue) -> String {
    var lines: [String] = [""]
    for (name, value) in recipe.leaves.sorted(by: { $0.key < $1.key }) {
      let item = "\(name) \(value)"
      if lines[lines.count - 1].isEmpty {
        lines[lines.count - 1] = item
      } else if lines[lines.count - 1].count + item.count < 62 {
        lines[lines.count - 1] += ", " + item
      } else {
        lines[lines.count - 1] += ","
        lines.append(item)
      }
    }
    return lines.joined(separator: "\n" + Format.fact("", ""))
  }

  private static func unknown(_ run: Int64, _ index: IndexReader) throws(CorpusError) -> CorpusError {
    let range = try index.rows("SELECT count(*), min(run), max(run) FROM runs")[0]
    let holds =
      range[0] == .integer(0)
      ? "no runs yet" : "\(range[0].short) runs between \(range[1].short) and \(range[2].short)"
    return CorpusError(
      .unknownRun, "there is no run \(run) in \(index.directory.path), which holds \(holds)",
      remedy: "list them with `corpus query \(index.directory.path) \"SELECT run FROM runs\"`")
  }
}
