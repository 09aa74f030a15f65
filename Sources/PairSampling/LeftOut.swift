public import Corpus
package import MetricIndex

/// What split and conditions select and pairs are not drawn from, and why.
public struct LeftOut: Hashable, Sendable {
  /// Runs of a status that is not wanted.
  public var runs: [RunStatus: Int] = [:]
  /// Checkpoints of the others that have no finite value of the metric.
  public var unmeasured = 0
  /// Runs of which a single checkpoint is left, where two make a pair.
  public var singles = 0

  public init() {}

  public var isEmpty: Bool { self == LeftOut() }

  /// What a filter leaves out by status and metric.
  ///
  /// - Parameters:
  ///   - table: what it lets through, where that is known.
  ///   - needed: how many checkpoints of a run must be left.
  package init(
    _ index: IndexReader, _ filter: RunFilter, _ table: RunTable? = nil, needed: Int
  ) throws(CorpusError) {
    let table = if let table { table } else { try index.runTable(filter) }
    for status in RunStatus.allCases where !filter.statuses.contains(status) {
      let count = try index.count(status, filter)
      if count > 0 { runs[status] = count }
    }
    unmeasured = table.unmeasured
    singles = table.rows.indices.count { (1..<needed).contains(table.count($0)) }
  }

  package static func + (a: Self, b: Self) -> Self {
    var sum = a
    sum.runs.merge(b.runs) { $0 + $1 }
    sum.unmeasured += b.unmeasured
    sum.singles += b.singles
    return sum
  }

  /// What would take something that is left out all the same.
  public enum Remedy: Sendable {
    case status(RunStatus)
    case unmeasured
    /// Drawing single checkpoints.
    case checkpoints
  }

  /// Each count in words, such as "3 runs out of range", and what would take it.
  ///
  /// - Parameter metric: the name of that of starts and targets.
  public func reasons(_ metric: String) -> [(what: String, remedy: Remedy)] {
    func count(_ number: Int, _ thing: String) -> String { "\(number) \(thing)\(number == 1 ? "" : "s")" }
    var reasons: [(what: String, remedy: Remedy)] = []
    for status in RunStatus.allCases {
      guard let number = runs[status] else { continue }
      let what =
        switch status {
        case .ok: "\(count(number, "run")) without fault"
        case .nonfinite: "\(count(number, "run")) with parameters that are not finite"
        case .outOfRange: "\(count(number, "run")) with parameters above \(Int(RunStatus.limit))"
        }
      reasons.append((what, .status(status)))
    }
    if unmeasured > 0 {
      reasons.append(("\(count(unmeasured, "checkpoint")) without a finite \(metric)", .unmeasured))
    }
    if singles > 0 { reasons.append(("\(count(singles, "run")) of a single checkpoint", .checkpoints)) }
    return reasons
  }
}

extension RunTable {
  /// The number of a row's checkpoints that may occur.
  fileprivate func count(_ row: Int) -> Int {
    steps == nil ? Int(rows[row].checkpoints) : stepStarts[row + 1] - stepStarts[row]
  }
}
