import ShardStore
public import Platform
import ArrayFiles
public import Corpus
public import MetricIndex

/// Writes what the index says of checkpoints, their metrics above all, to a file of comma-separated values;
/// Schemas/interchange.md describes it.
public struct MetricExport: Sendable {
  private let selection: CheckpointSelection
  private let metrics: [Metric]

  public init(_ selection: CheckpointSelection, of index: IndexReader) {
    self.selection = selection
    metrics = index.directory.manifest.metrics
  }

  /// Bytes that are collected before they are written.
  private static let batch = 1 << 20

  /// Writes the file; it gets its name when it is complete.
  ///
  /// - Parameter progress: called now and then with the number of checkpoints written.
  /// - Throws: `alreadyExists` if the name is taken.
  public func write(
    to path: String, cancellation: Cancellation = Cancellation(), progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) {
    let destination = try ReservedPath(path)
    let output = try ArrayOutput(destination)
    var text =
      (["run", "step", "iteration", "split", "status"] + metrics.map(\.name)).joined(separator: ",") + "\n"
    var offset = 0
    var written = 0
    func flush() throws(CorpusError) {
      let bytes = Array(text.utf8)
      try output.write(bytes, at: offset)
      offset += bytes.count
      text = ""
    }
    let columns = ["iteration", "runs.split", "runs.status"] + metrics.map(\.column)
    try selection.forEachRun(columns: columns) { (_, rows) throws(CorpusError) in
      try cancellation.checkExport()
      for row in rows { text += row.map(Self.field).joined(separator: ",") + "\n" }
      written += rows.count
      if text.utf8.count >= Self.batch {
        try flush()
        progress(written)
      }
    }
    try flush()
    progress(written)
    try output.publish()
  }

  /// A value as the shortest digits that stand for it as float32, which metrics are; nothing for none.
  private static func field(_ value: SQLValue) -> String {
    switch value {
    case .null, .blob: ""
    case .integer(let number): "\(number)"
    case .real(let number): "\(Float(number))"
    // Of splits and statuses, which need no quotes.
    case .text(let text): text
    }
  }
}
