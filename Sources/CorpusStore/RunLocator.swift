import ShardStore
import Platform
public import MetricIndex
public import Corpus

extension IndexReader {
  /// Where a run lies: the path of its shard, relative to the corpus.
  ///
  /// - Throws: `unknownRun`.
  public func shard(of run: Int64) throws(CorpusError) -> String { try entry(of: run).file }

  /// The path of a run's shard, and how many checkpoints the index says that it has.
  func entry(of run: Int64) throws(CorpusError) -> (file: String, checkpoints: Int64) {
    let rows = try rows("SELECT path, checkpoints FROM runs JOIN shards USING (shard) WHERE run = \(run)")
    guard let row = rows.first, let path = row[0].text, case .integer(let checkpoints) = row[1] else {
      throw CorpusError(
        .unknownRun, "there is no run \(run) in \(directory.path)",
        remedy: "list them with `corpus query \(directory.path) \"SELECT run FROM runs\"`")
    }
    return (path, checkpoints)
  }

  /// Finds a run in its shard, also while a compaction moves it to another one.
  ///
  /// A compaction tells the index where a run is before the old file goes, so who finds the file gone, or another run in
  /// it, asks the index again. Everything that looks up a run's shard does it here.
  ///
  /// - Parameters:
  ///   - file: where the index had it, if that is known already.
  ///   - open: looks for it in a shard, whose path is relative to the corpus; nil where it is not there.
  /// - Throws: `unknownRun`; `damagedShard` for a shard that is gone, which the index names all the same; `indexStale` for
  ///   one without the run; what `open` throws of a shard that is there.
  package func locate<Found>(
    _ run: Int64, in file: String? = nil, open: (String) throws(CorpusError) -> Found?
  ) throws(CorpusError) -> Found {
    var file = if let file { file } else { try shard(of: run) }
    while true {
      do throws(CorpusError) {
        if let found = try open(file) { return found }
      } catch {
        guard !Files.exists(directory.absolute(file)) else { throw error }
      }
      let now = try shard(of: run)
      if now == file { throw lost(run, file) }
      file = now
    }
  }

  private func lost(_ run: Int64, _ file: String) -> CorpusError {
    let path = directory.absolute(file)
    return Files.exists(path)
      ? CorpusError(
        .indexStale, "run \(run) is not in \(path), as the index says",
        remedy: "run `corpus index \(directory.path)`")
      : CorpusError(
        .damagedShard, "\(path) has vanished with run \(run)",
        remedy: "restore it from a copy, or run `corpus repair \(directory.path)`")
  }
}
