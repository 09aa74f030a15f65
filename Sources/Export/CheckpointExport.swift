public import Platform
public import ArrayFiles
public import Corpus
public import MetricIndex
import CorpusStore
import ShardStore

/// Writes selected checkpoints to one file of arrays; Schemas/interchange.md describes it.
public struct CheckpointExport: Sendable {
  private let directory: CorpusDirectory
  private let index: IndexReader
  private let selection: CheckpointSelection

  public init(_ selection: CheckpointSelection, of index: IndexReader) {
    self.selection = selection
    self.index = index
    directory = index.directory
  }

  /// Writes the file; it gets its name when it is complete.
  ///
  /// - Parameter progress: called now and then with the number of checkpoints written.
  /// - Throws: `alreadyExists` if the name is taken.
  public func write(
    _ format: ArrayFormat, to path: String, cancellation: Cancellation = Cancellation(),
    progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) {
    let manifest = directory.manifest
    let destination = try ReservedPath(path)
    let layout = try ArrayLayout(
      columns: [
        ArrayColumn("parameters", .float32, rowShape: [manifest.architecture.parameterCount]),
        ArrayColumn("run", .int64), ArrayColumn("step", .int64), ArrayColumn("iteration", .int64),
      ] + manifest.metrics.map { ArrayColumn($0.name, .float32) }, rows: selection.count,
      metadata: manifest.exportMetadata(kind: "checkpoints"))
    let table = try ArrayTable(format, layout, to: destination)
    let reader = CorpusReader(index)
    var written = 0
    try selection.forEachRun { (run, steps) throws(CorpusError) in
      try reader.read(steps, of: run) { (rows) throws(CorpusError) in
        try cancellation.checkExport()
        try table.append(rows.parameters, to: "parameters")
        try table.append(rows.steps.map { _ in run }, to: "run")
        try table.append(rows.steps.map(Int64.init), to: "step")
        try table.append(rows.iterations.map(Int64.init), to: "iteration")
        for (metric, values) in zip(manifest.metrics, rows.metrics) {
          try table.append(values, to: metric.name)
        }
        written += rows.steps.count
        progress(written)
      }
    }
    try table.finish()
  }
}

extension Manifest {
  /// What an exported file says of the corpus that it comes from, as texts.
  ///
  /// - Parameter kind: of its rows, `checkpoints` or `pairs`.
  func exportMetadata(kind: String) throws(CorpusError) -> [String: String] {
    [
      "format": "checkpoint-corpus \(kind)", "version": "1", "task": task,
      "architecture": try CanonicalJSON.string(architecture),
      "metrics": try CanonicalJSON.string(metrics), "recipe": try CanonicalJSON.string(recipe),
    ]
  }
}

extension Cancellation {
  /// As ``check()``, for work that begins anew the next time.
  func checkExport() throws(CorpusError) {
    if isCancelled {
      throw CorpusError(
        .interrupted, "stopped on request, and nothing was written", remedy: "run the same command again")
    }
  }
}
