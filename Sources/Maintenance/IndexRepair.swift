public import Corpus
public import MetricIndex
public import Platform
public import ShardStore

extension MetricIndex {
  /// Makes the index agree with the shards in all that it says, anew if it must be.
  ///
  /// - Returns: what was wrong with it where it was made anew; nil where it was only brought up to date.
  public static func rebuildIfInconsistent(
    _ directory: CorpusDirectory, cancellation: Cancellation = Cancellation()
  ) throws(CorpusError) -> CorpusError? {
    let problem: CorpusError?
    do throws(CorpusError) {
      problem = try firstDisagreement(directory, cancellation)
    } catch  where error.code == .indexCorrupt {
      problem = error
    }
    guard let problem else { return nil }
    // A repair has made sure that none is missing.
    _ = try rebuild(directory, forgetsMissing: true, cancellation: cancellation)
    return problem
  }

  private static func firstDisagreement(
    _ directory: CorpusDirectory, _ cancellation: Cancellation
  ) throws(CorpusError) -> CorpusError? {
    let unusable = try MetricIndex(openingOrCreating: directory).synchronize(cancellation: cancellation)
      .problems
    let reader = try IndexReader(opening: directory, allowStale: true)
    try reader.requireWhole(cancellation)
    var runs: Set<Int64> = []
    for file in try directory.shardFiles() {
      try cancellation.check()
      // What cannot be read is not the index's fault.
      guard let shard = try? ShardReader(opening: file, of: directory) else { continue }
      if let problem = try reader.audit(shard).first { return problem }
      runs.formUnion(shard.runs.map(\.seed))
    }
    return unusable.isEmpty ? try reader.audit(runs: runs, cancellation).first : nil
  }
}
