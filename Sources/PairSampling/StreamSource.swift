package import ShardStore
package import Corpus
package import MetricIndex
import VectorKernels

/// A corpus as a stream opens it: its index, and the runs that are selected.
package struct StreamSource: Sendable {
  package let directory: CorpusDirectory
  package let index: IndexReader
  package let table: RunTable
  /// The metric's index among those of the corpus.
  package let metric: Int
  /// The runs and checkpoints that the stream's own options select.
  let selection: RunSelection
  package let leftOut: LeftOut
  private let options: PairStreamOptions

  init(_ directory: CorpusDirectory, _ options: PairStreamOptions, metric: Int) throws(CorpusError) {
    self.directory = directory
    self.options = options
    self.metric = metric
    index = try IndexReader(opening: directory)
    let name = directory.manifest.metrics[metric].name
    let filter = Self.filter(options, name, stage: nil)
    table = try index.runTable(filter)
    leftOut = try LeftOut(index, filter, table, needed: options.checkpointsNeeded)
    selection = try Self.select(directory, index, table, options, name, leftOut, condition: nil)
  }

  var metricName: String { directory.manifest.metrics[metric].name }

  /// How many runs the stream's own options select.
  package var runCount: Int { selection.runs.count }

  private static func filter(
    _ options: PairStreamOptions, _ metric: String, stage condition: String?
  ) -> RunFilter {
    RunFilter(
      split: options.split == .all ? nil : options.split.rawValue, statuses: options.statuses,
      conditions: [options.condition, condition].compactMap { $0 },
      measured: options.includesUnmeasured ? nil : metric)
  }

  /// The runs that pairs can be drawn from.
  ///
  /// - Parameters:
  ///   - leftOut: for the error where nothing is left.
  ///   - condition: a stage's.
  private static func select(
    _ directory: CorpusDirectory, _ index: IndexReader, _ table: RunTable, _ options: PairStreamOptions,
    _ metric: String, _ leftOut: LeftOut, condition: String?
  ) throws(CorpusError) -> RunSelection {
    let filter = filter(options, metric, stage: condition)
    let weights: [Double]? =
      if let expression = options.runWeights { try index.weights(expression, of: table, filter) } else { nil }
    let selected = condition == nil ? nil : try index.runTable(filter)
    let needed = options.checkpointsNeeded
    let selection = RunSelection(
      table, selected: selected, weights: weights, needed: needed, order: options.order)
    guard selection.runs.isEmpty else { return selection }
    if weights != nil {
      let all = RunSelection(table, selected: selected, weights: nil, needed: needed, order: .random)
      guard all.runs.isEmpty else {
        throw CorpusError(
          .invalidArgument,
          "the weights of all \(all.runs.count) selected runs of \(directory.path) are 0, \"\(options.runWeights ?? "")\"",
          remedy: "make the weight of some run positive")
      }
    }
    let conditions = filter.conditions.map { "\"\($0)\"" }.joined(separator: " and ")
    let reasons = leftOut.reasons(metric).map(\.what).joined(separator: ", ")
    throw CorpusError(
      .emptySelection,
      "\(directory.path) has no runs in split \(options.split.rawValue) with at least \(needed) "
        + "checkpoint\(needed == 1 ? "" : "s")\(conditions.isEmpty ? "" : " that meet \(conditions)")"
        + (reasons.isEmpty ? "" : "; left out are \(reasons)"),
      remedy: "look at its runs with `corpus query \(directory.path) \"SELECT * FROM runs\"`")
  }

  /// What is drawn in which epochs.
  func stages(_ kernels: Kernels) throws(CorpusError) -> [DrawingStage] {
    var balances: [BalanceKey: MetricBalance] = [:]
    var stages: [DrawingStage] = []
    let given = options.stages.first?.firstEpoch == 0 ? [] : [PairStreamOptions.Stage(firstEpoch: 0)]
    for stage in given + options.stages {
      let own = options.drawing(in: stage)
      let isSame = stage.condition == nil && own.runWeights == options.runWeights
      let selection =
        isSame
        ? selection
        : try Self.select(directory, index, table, own, metricName, leftOut, condition: stage.condition)
      let key = BalanceKey(
        condition: stage.condition, weights: own.runWeights, balance: own.balance, range: own.balanceRange)
      if own.balance != .none, balances[key] == nil {
        balances[key] = try MetricBalance(
          own, selection, table, metric: metricName,
          filter: Self.filter(own, metricName, stage: stage.condition), index: index,
          kernels: kernels)
      }
      stages.append(
        DrawingStage(own, firstEpoch: stage.firstEpoch, selection: selection, balance: balances[key]))
    }
    return stages
  }

  /// Stages that agree in all of this have what is known of the metric in common.
  private struct BalanceKey: Hashable {
    let condition: String?
    let weights: String?
    let balance: PairStreamOptions.Balance
    let range: ClosedRange<Float>?
  }

  /// Names the contents of the selected runs.
  package func identity() throws(CorpusError) -> String {
    let manifest = directory.manifest
    var hash = try SHA256()
    hash.update(Array(try CanonicalJSON.string([manifest.recipe, .string(manifest.task)]).utf8))
    hash.update(Array(try manifest.architecture.text().utf8))
    hash.update(table.digest)
    return ContentHash(bytes: hash.finish()).description
  }
}

extension CorpusDirectory {
  /// A metric's index among those of the corpus.
  ///
  /// - Parameter name: nil for the last one.
  func index(ofMetric name: String?) throws(CorpusError) -> Int {
    let metrics = manifest.metrics
    guard let name else {
      guard !metrics.isEmpty else {
        throw CorpusError(.invalidArgument, "\(path) has no metrics", remedy: "log one with the checkpoints")
      }
      return metrics.count - 1
    }
    guard let index = metrics.firstIndex(where: { $0.name == name }) else {
      throw CorpusError(
        .invalidArgument, "\(path) has no metric \(name)",
        remedy: "choose one of " + metrics.map(\.name).joined(separator: ", "))
    }
    return index
  }
}
