import Corpus
import TerminalOutput

extension GenerationPlan {
  /// What some corpora take, one after the other, as a table in Markdown.
  package static func table(_ plans: [GenerationPlan]) -> [String] {
    guard let one = plans.first else { return [] }
    let nodes = (one.cores + one.coresPerNode - 1) / one.coresPerNode
    let place =
      "\(Format.count(one.cores)) cores in \(Format.count(nodes, "node"))"
    let titles = [
      "task", "runs", "checkpoints", "s a run and core", "core-hours", "on \(place)", "shards", "files",
      "index",
    ]
    var rows = plans.map { plan in
      [
        plan.measurement.task, Format.count(plan.runs), Format.count(plan.checkpoints),
        significant(plan.measurement.secondsPerRun), hours(plan.coreHours),
        Format.duration(3600 * plan.hours),
        Format.bytes(plan.bytes), Format.count(plan.files), Format.bytes(plan.indexBytes),
      ]
    }
    if plans.count > 1 {
      func sum(_ value: (GenerationPlan) -> Int) -> Int { plans.reduce(0) { $0 + value($1) } }
      rows.append([
        "all", Format.count(sum(\.runs)), Format.count(sum(\.checkpoints)), "",
        hours(plans.reduce(0) { $0 + $1.coreHours }),
        Format.duration(3600 * plans.reduce(0) { $0 + $1.hours }),
        Format.bytes(sum(\.bytes)), Format.count(sum(\.files)), Format.bytes(sum(\.indexBytes)),
      ])
    }
    let widths = titles.indices.map { column in
      ([titles] + rows).reduce(0) { max($0, $1[column].count) }
    }
    let rule = widths.enumerated().map {
      String(repeating: "-", count: $1 - ($0 == 0 ? 0 : 1)) + ($0 == 0 ? "" : ":")
    }
    let lines = TextTable.cells([titles] + rows, numbers: 1...(titles.count - 1))
    return ([lines[0], rule] + lines.dropFirst()).map { "| \($0.joined(separator: " | ")) |" }
  }

  /// What the numbers of a task rest on, and how sure they are.
  package var basis: String {
    let spread = measurement.spread
    let busy =
      measurement.slowdown < 1.1
      ? ""
      : "; others kept these cores busy meanwhile, and so it took \(Format.fixed(measurement.slowdown, 2)) times as "
        + "long on the clock: only processor time is counted"
    return
      "\(measurement.task): \(Format.count(measurement.runs, "run")) on \(Format.count(measurement.workers, "core")), "
      + "in \(measurement.batches.count) batches of "
      + "\(Self.significant(spread.lowerBound)) to \(Self.significant(spread.upperBound)) s a run and core\(busy)"
  }

  private static func hours(_ value: Double) -> String {
    value < 10 ? significant(value) : Format.count(Int(value.rounded()))
  }

  /// Two or three digits that mean something.
  private static func significant(_ value: Double) -> String {
    Format.fixed(value, value < 0.1 ? 3 : value < 10 ? 2 : 1)
  }
}
