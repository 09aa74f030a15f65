public import Corpus
import ShardStore

/// Some training pairs, one after the other.
public struct PairBatch: Sendable {
  /// Pairs × P: the parameters that a pair starts from.
  public var start: [Float]
  /// Pairs × P.
  public var target: [Float]
  /// One value a pair: the chosen metric at the start.
  public var startMetric: [Float]
  public var targetMetric: [Float]
  public var run: [Int64]
  public var startStep: [Int64]
  public var targetStep: [Int64]

  public init(
    start: [Float], target: [Float], startMetric: [Float], targetMetric: [Float], run: [Int64],
    startStep: [Int64], targetStep: [Int64]
  ) {
    self.start = start
    self.target = target
    self.startMetric = startMetric
    self.targetMetric = targetMetric
    self.run = run
    self.startStep = startStep
    self.targetStep = targetStep
  }

  /// The number of pairs.
  public var count: Int { run.count }
}

/// Writes training pairs to one file of arrays; Schemas/interchange.md describes it.
public struct PairExport: Sendable {
  private let manifest: Manifest
  private let metadata: [String: String]

  /// - Parameters:
  ///   - metric: the name of the metric that the pairs carry.
  ///   - metadata: what else there is to say of them, such as seed and coefficient; it goes into the file.
  public init(manifest: Manifest, metric: String, metadata: [String: String] = [:]) throws(CorpusError) {
    self.manifest = manifest
    self.metadata = metadata.merging(try manifest.exportMetadata(kind: "pairs")) { $1 }
      .merging(["metric": metric]) { $1 }
  }

  /// Writes the file; it gets its name when it is complete.
  ///
  /// - Parameters:
  ///   - count: how many pairs to write; what is left of the last batch is not used.
  ///   - next: gives the next batch, nil where there is none.
  ///   - progress: called after each batch with the number of pairs written.
  /// - Throws: `alreadyExists` if the name is taken; `emptySelection` if there are fewer pairs.
  public func write(
    _ count: Int, _ format: ArrayFormat, to path: String, cancellation: Cancellation = Cancellation(),
    progress: (Int) -> Void = { _ in }, next: () throws(CorpusError) -> PairBatch?
  ) throws(CorpusError) {
    let place = try ExportPlace(path)
    let length = manifest.architecture.parameterCount
    let vectors = ["start", "target"].map { ArrayColumn($0, .float32, rowShape: [length]) }
    let metrics = ["start_metric", "target_metric"].map { ArrayColumn($0, .float32) }
    let numbers = ["run", "start_step", "target_step"].map { ArrayColumn($0, .int64) }
    let layout = try ArrayLayout(columns: vectors + metrics + numbers, rows: count, metadata: metadata)
    let table = try ArrayTable(format, layout, to: place)
    var written = 0
    while written < count {
      try cancellation.checkExport()
      guard let batch = try next() else {
        throw CorpusError(
          .emptySelection, "there are only \(written) pairs, not \(count)", remedy: "ask for fewer")
      }
      precondition(batch.start.count == batch.count * length && batch.target.count == batch.count * length)
      let rows = min(batch.count, count - written)
      try table.append(Array(batch.start.prefix(rows * length)), to: "start")
      try table.append(Array(batch.target.prefix(rows * length)), to: "target")
      try table.append(Array(batch.startMetric.prefix(rows)), to: "start_metric")
      try table.append(Array(batch.targetMetric.prefix(rows)), to: "target_metric")
      try table.append(Array(batch.run.prefix(rows)), to: "run")
      try table.append(Array(batch.startStep.prefix(rows)), to: "start_step")
      try table.append(Array(batch.targetStep.prefix(rows)), to: "target_step")
      written += rows
      progress(written)
    }
    try table.finish()
  }
}
