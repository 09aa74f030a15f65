import ShardStore
import PairSampling
public import Platform
public import ArrayFiles
public import Corpus
public import PairStream

/// Writes training pairs to one file of arrays; Schemas/interchange.md describes it.
public struct PairExport: Sendable {
  private let stream: PairStream

  /// - Parameter stream: gives the pairs, from where it stands on.
  public init(_ stream: PairStream) { self.stream = stream }

  /// Writes the file; it gets its name when it is complete.
  ///
  /// - Parameters:
  ///   - count: how many pairs to write; what is left of the last batch is not used.
  ///   - progress: called after each batch with the number of pairs written.
  /// - Throws: `alreadyExists` if the name is taken.
  public func write(
    _ count: Int, _ format: ArrayFormat, to path: String, cancellation: Cancellation = Cancellation(),
    progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) {
    let destination = try ReservedPath(path)
    let vectors = ["start", "target"].map { ArrayColumn($0, .float32, rowShape: [stream.parameterCount]) }
    let metrics = ["start_metric", "target_metric"].map { ArrayColumn($0, .float32) }
    let isMixture = stream.directories.count > 1
    let numbers = (["run", "start_step", "target_step"] + (isMixture ? ["source"] : [])).map {
      ArrayColumn($0, .int64)
    }
    let layout = try ArrayLayout(columns: vectors + metrics + numbers, rows: count, metadata: metadata())
    let table = try ArrayTable(format, layout, to: destination)
    var written = 0
    while written < count {
      try cancellation.checkExport()
      let batch = try stream.next()
      let rows = min(batch.count, count - written)
      try table.append(Array(batch.start.prefix(rows * stream.parameterCount)), to: "start")
      try table.append(Array(batch.target.prefix(rows * stream.parameterCount)), to: "target")
      try table.append(Array(batch.startMetric.prefix(rows)), to: "start_metric")
      try table.append(Array(batch.targetMetric.prefix(rows)), to: "target_metric")
      try table.append(Array(batch.run.prefix(rows)), to: "run")
      try table.append(batch.startStep.prefix(rows).map(Int64.init), to: "start_step")
      try table.append(batch.targetStep.prefix(rows).map(Int64.init), to: "target_step")
      if isMixture { try table.append(batch.source.prefix(rows).map(Int64.init), to: "source") }
      written += rows
      progress(written)
    }
    try table.finish()
  }

  private func metadata() throws(CorpusError) -> [String: String] {
    let own = [
      "metric": stream.metric.name, "seed": "\(stream.options.seed)", "scale": "\(stream.scale)",
      "augmentation": stream.options.augmentation.rawValue,
    ]
    let drawing = stream.drawing.isEmpty ? [:] : ["drawing": stream.drawing]
    return own.merging(drawing) { $1 }.merging(try stream.directory.manifest.exportMetadata(kind: "pairs")) {
      $1
    }
  }
}
