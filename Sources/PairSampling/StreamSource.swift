package import ShardStore
package import Corpus
package import MetricIndex
import VectorKernels

/// A corpus as a stream opens it: its index, and what options select in it.
package struct StreamSource: Sendable {
  package let directory: CorpusDirectory
  package let index: IndexReader
  package let table: RunTable
  /// The metric's index among those of the corpus.
  package let metric: Int
  package let leftOut: LeftOut
  private let options: PairStreamOptions

  init(_ directory: CorpusDirectory, _ options: PairStreamOptions, metric: Int) throws(CorpusError) {
    self.directory = directory
    self.options = options
    self.metric = metric
    index = try IndexReader(opening: directory)
    let filter = options.filter(measured: directory.manifest.metrics[metric].name)
    table = try index.runTable(filter)
    leftOut = try LeftOut(index, filter, table, needed: options.checkpointsNeeded)
  }

  var metricName: String { directory.manifest.metrics[metric].name }

  /// The runs that pairs can be drawn from, by the stream's own options.
  func select() throws(CorpusError) -> RunSelection { try select(options, condition: nil) }

  /// - Parameters:
  ///   - options: the stream's, or those of a stage.
  ///   - condition: the stage's own.
  private func select(
    _ options: PairStreamOptions, condition: String?
  ) throws(CorpusError) -> RunSelection {
    let filter = options.filter(measured: metricName, stage: condition)
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
    let reasons = leftOut.reasons(metricName).map(\.what).joined(separator: ", ")
    throw CorpusError(
      .emptySelection,
      "\(directory.path) has no runs in split \(options.split.rawValue) with at least \(needed) "
        + "checkpoint\(needed == 1 ? "" : "s")\(conditions.isEmpty ? "" : " that meet \(conditions)")"
        + (reasons.isEmpty ? "" : "; left out are \(reasons)"),
      remedy: "look at its runs with `corpus query \(directory.path) \"SELECT * FROM runs\"`")
  }

  /// What is drawn in which epochs.
  ///
  /// - Parameter selection: by the stream's own options.
  func stages(_ selection: RunSelection, _ kernels: Kernels) throws(CorpusError) -> [DrawingStage] {
    var balances: [BalanceKey: MetricBalance] = [:]
    var stages: [DrawingStage] = []
    let given = options.stages.first?.firstEpoch == 0 ? [] : [PairStreamOptions.Stage(firstEpoch: 0)]
    for stage in given + options.stages {
      let own = options.drawing(in: stage)
      let isSame = stage.condition == nil && own.runWeights == options.runWeights
      let selection = isSame ? selection : try select(own, condition: stage.condition)
      let key = BalanceKey(
        condition: stage.condition, weights: own.runWeights, balance: own.balance, range: own.balanceRange)
      if own.balance != .none, balances[key] == nil {
        let filter = own.filter(measured: metricName, stage: stage.condition)
        balances[key] = try MetricBalance(
          own, MetricSurvey(own, selection, table, metricName, filter, index), kernels)
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

extension PairStreamOptions {
  /// What the options let through.
  ///
  /// - Parameters:
  ///   - metric: the one that checkpoints must have, if they must.
  ///   - condition: a stage's own.
  fileprivate func filter(measured metric: String, stage condition: String? = nil) -> RunFilter {
    RunFilter(
      split: split == .all ? nil : split.rawValue, statuses: statuses,
      conditions: [self.condition, condition].compactMap { $0 }, measured: includesUnmeasured ? nil : metric)
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
