public import Corpus
public import GenerativeModel
import MetricIndex

/// Reads starts out of the corpus that a model was trained on, or another of the same task.
public struct StartReader: Sendable {
  private let reader: CorpusReader
  private let place: Int
  /// Of the runs that the model was trained on.
  private let condition: String?

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
    guard let place = manifest.metrics.firstIndex(where: { $0.name == description.metric.name }) else {
      throw CorpusError(
        .differentCorpus, "\(corpus.path) has no metric \(description.metric.name), which the model wants",
        remedy: "name the corpus that it was trained on")
    }
    self.place = place
    condition = description.corpus.condition
    reader = CorpusReader(try IndexReader(opening: corpus))
  }

  /// A checkpoint of the corpus.
  ///
  /// - Throws: `unknownRun`, `invalidArgument` for a step that the run has not.
  public func start(run: Int64, step: Int) throws(CorpusError) -> Start {
    let (iterations, metrics) = try reader.metrics(of: run)
    guard iterations.indices.contains(step) else {
      throw CorpusError(
        .invalidArgument, "run \(run) has no step \(step)",
        remedy: "ask for a step from 0 to \(iterations.count - 1)")
    }
    var parameters = [Float](
      repeating: 0, count: reader.directory.manifest.architecture.parameterCount)
    try parameters.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try reader.read(run, steps: step..<(step + 1), into: buffer)
    }
    return Start(run: run, step: step, parameters: parameters, metric: metrics[place][step])
  }

  /// The first checkpoints of some runs, spread evenly over those of a split.
  ///
  /// - Parameter split: `train`, for the runs that the model was trained on, or `test`.
  public func initialStarts(_ count: Int, split: String) throws(CorpusError) -> [Start] {
    let wanted = RunFilter(
      split: split, statuses: [.ok], conditions: split == "train" ? [condition].compactMap { $0 } : [])
    let runs = try reader.index.runTable(wanted).runs
    let chosen = (0..<min(count, runs.count)).map { runs[$0 * runs.count / min(count, runs.count)] }
    var starts: [Start] = []
    for run in chosen { starts.append(try start(run: run, step: 0)) }
    return starts
  }

  /// The mean of the metric over all runs at each step, with the mean iteration: what the corpus's own training reaches.
  func curve(_ metric: String) throws(CorpusError) -> [(iteration: Double, value: Double)] {
    let rows = try reader.index.rows(
      """
      SELECT avg(iteration), avg(\(Metric.column(of: metric))) FROM checkpoints JOIN runs USING (run)
      WHERE runs.status = 'ok'
      GROUP BY step ORDER BY step
      """)
    return rows.compactMap { row in
      guard case .real(let iteration) = row[0], case .real(let value) = row[1] else { return nil }
      return (iteration, value)
    }
  }
}
