import Platform
import ShardStore
import TerminalOutput
import Corpus
import MetricIndex

/// The index of a corpus whose runs a command moves from shard to shard. Nobody who reads it stops the command: what it
/// could not take up is left to `corpus index`.
struct IndexBesideWork {
  private let index: MetricIndex
  private var isBehind = false

  init(_ directory: CorpusDirectory) throws(CorpusError) {
    index = try MetricIndex(openingOrCreating: directory)
  }

  /// How long to wait for those who read: not again for who has not ended by then.
  private var patience: Duration { isBehind ? .zero : .seconds(5) }

  mutating func takeUp(_ file: String) throws(CorpusError) {
    if try !index.ingest([file], patience: patience) { isBehind = true }
  }

  /// Makes the index agree with the shards as they are now.
  ///
  /// - Returns: which runs are missing. What is wrong with those that are there, the command finds itself.
  mutating func agree(_ cancellation: Cancellation) throws(CorpusError) -> [CorpusError] {
    let report = try index.synchronize(patience: patience, cancellation: cancellation)
    if report.postponed > 0 { isBehind = true }
    return [report.missingError(index.directory)].compactMap { $0 }
  }

  /// Says what is left to do.
  func note() {
    guard isBehind else { return }
    Console.note(
      "the index is not up to date, as somebody has kept reading it: run `corpus index \(index.directory.path)` when "
        + "that has ended")
  }
}
