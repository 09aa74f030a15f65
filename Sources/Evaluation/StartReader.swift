public import ShardStore
import CorpusStore
public import Corpus
public import GenerativeModel
import MetricIndex
public import PairSampling

/// Reads starts out of the corpus that a model was trained on, or another of the same task.
public struct StartReader: Sendable {
  private let reader: CorpusReader
  private let metricIndex: Int
  private let metric: String
  /// What the runs that the model was trained on meet, in SQL.
  private let condition: String?
  private let statuses: Set<RunStatus>

  /// - Throws: `differentCorpus` if its networks, or its metrics, are not the model's.
  public init(_ corpus: CorpusDirectory, for description: ModelDescription) throws(CorpusError) {
    let manifest = corpus.manifest
    guard manifest.architecture == description.architecture else {
      throw CorpusError(
        .differentCorpus,
        "the model writes networks of the architecture \(description.architecture.name), and those of "
          + "\(corpus.path) are of \(manifest.architecture.name)",
        remedy: "name the corpus that it was trained on")
    }
    guard let index = manifest.metrics.firstIndex(where: { $0.name == description.metric.name }) else {
      throw CorpusError(
        .differentCorpus, "\(corpus.path) has no metric \(description.metric.name), which the model wants",
        remedy: "name the corpus that it was trained on")
    }
    metricIndex = index
    metric = description.metric.name
    condition = description.corpus.condition
    statuses = description.corpus.wantedStatuses
    reader = CorpusReader(try IndexReader(opening: corpus))
  }

  /// A checkpoint of the corpus.
  ///
  /// - Throws: `unknownRun`, `invalidArgument` for a step that the run has not, or that has no finite metric to start
  ///   from.
  public func start(run: Int64, step: Int) throws(CorpusError) -> Start {
    let metrics = try reader.metrics(of: run).metrics[metricIndex]
    guard metrics.indices.contains(step) else {
      throw CorpusError(
        .invalidArgument, "run \(run) has no step \(step)",
        remedy: "ask for a step from 0 to \(metrics.count - 1)")
    }
    guard metrics[step].isFinite else {
      let first = metrics.firstIndex(where: \.isFinite)
      throw CorpusError(
        .invalidArgument, "step \(step) of run \(run) has no finite \(metric) to start from",
        remedy: first.map { "ask for another one, such as \($0)" }
          ?? "ask for another run: none of its steps has")
    }
    return try start(run, step, metrics[step])
  }

  /// At most `count` checkpoints of a run, evenly spread from its first to its last, with their metrics.
  package func checkpoints(of run: Int64, count: Int) throws(CorpusError) -> [Start] {
    let metrics = try reader.metrics(of: run).metrics[metricIndex]
    let last = metrics.count - 1
    let steps = (0..<min(count, metrics.count)).map { $0 * last / max(1, min(count, metrics.count) - 1) }
    return try steps.map { (step) throws(CorpusError) in try start(run, step, metrics[step]) }
  }

  private func start(_ run: Int64, _ step: Int, _ value: Float) throws(CorpusError) -> Start {
    var parameters = [Float](
      repeating: 0, count: reader.directory.manifest.architecture.parameterCount)
    try parameters.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try reader.read(run, steps: step..<(step + 1), into: buffer)
    }
    return Start(run: run, step: step, parameters: parameters, metric: value)
  }

  /// What the corpus has and neither starts nor their pace are taken from.
  public func leftOut() throws(CorpusError) -> LeftOut {
    try LeftOut(
      reader.index, RunFilter(split: nil, statuses: statuses, conditions: [], measured: metric), needed: 1)
  }

  /// The first checkpoints with a finite metric of some runs, spread evenly over those of a split.
  ///
  /// - Parameter split: `train`, for the runs that the model was trained on, or `test`.
  public func initialStarts(_ count: Int, split: String) throws(CorpusError) -> [Start] {
    let wanted = RunFilter(
      split: split, statuses: statuses, conditions: split == "train" ? [condition].compactMap { $0 } : [],
      measured: metric)
    let runs = try reader.index.runTable(wanted).runs
    let chosen = (0..<min(count, runs.count)).map { runs[$0 * runs.count / min(count, runs.count)] }
    var starts: [Start] = []
    for run in chosen {
      let metrics = try reader.metrics(of: run).metrics[metricIndex]
      guard let first = metrics.firstIndex(where: \.isFinite) else {
        throw reader.directory.indexStale("the metrics of run \(run) are others than the index says")
      }
      starts.append(try start(run, first, metrics[first]))
    }
    return starts
  }

  /// The mean of the metric over all runs at each step, with the mean iteration: what the corpus's own training reaches.
  func curve(_ metric: String) throws(CorpusError) -> [(iteration: Double, value: Double)] {
    let rows = try reader.index.rows(
      """
      SELECT avg(iteration), avg(\(Metric.column(of: metric))) FROM checkpoints JOIN runs USING (run)
      WHERE \(RunFilter.hasStatus(statuses)) AND \(Metric.isMeasured(metric))
      GROUP BY step ORDER BY step
      """)
    return rows.compactMap { row in
      guard case .real(let iteration) = row[0], case .real(let value) = row[1] else { return nil }
      return (iteration, value)
    }
  }
}
