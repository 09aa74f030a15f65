public import Platform
import CorpusStore
import MetricIndex
public import Corpus
public import ShardStore
import Synchronization

/// Proves all that a corpus stores: each shard against its own checksums and hashes, the index against the
/// shards, and that no run is lost or there in two versions.
public struct CorpusVerification: Sendable {
  public struct Result: Sendable {
    public var shards = 0
    public var runs = 0
    public var checkpoints = 0
    /// Bytes of float32 that were decoded and found right.
    public var parameterBytes = 0
    public var problems: [CorpusError] = []
  }

  /// The first place where each run was found. Apart from the result, which is handed on after each shard.
  private typealias FirstCopies = [Int64: (hash: ContentHash, file: String)]

  private let directory: CorpusDirectory
  private let workers: Int

  public init(_ directory: CorpusDirectory, workers: Int) {
    self.directory = directory
    self.workers = workers
  }

  /// - Parameter progress: called after each shard with what was found so far and the number of shards.
  public func run(
    cancellation: Cancellation, progress: @escaping @Sendable (Result, Int) -> Void
  ) throws(CorpusError) -> Result {
    let state = Mutex((result: Result(), firstCopies: FirstCopies()))
    let index = try openIndex(cancellation) { problem in state.withLock { $0.result.problems.append(problem) }
    }
    var files = try directory.shardFiles()
    var all = Set(files)
    while !files.isEmpty {
      try parallelForEach(files, workers: workers) { [all] (file) throws(CorpusError) in
        let shard = try ShardVerification(checking: file, in: directory, cancellation: cancellation)
        let problems = try shard.problems + (shard.problems.isEmpty ? audit(shard, index) : [])
        // A compaction has sealed it meanwhile.
        if !problems.isEmpty, isSealed(file) { return }
        let result = state.withLock { state in
          state.result.add(shard)
          state.result.problems += problems + Self.conflicts(of: shard, with: &state.firstCopies)
          return state.result
        }
        progress(result, all.count)
      }
      // What was sealed meanwhile lies in shards that were not there.
      files = try directory.shardFiles().filter { CorpusDirectory.isSealed($0) && all.insert($0).inserted }
    }
    var (found, firstCopies) = state.withLock { $0 }
    found.runs = firstCopies.count
    for file in try directory.strayFiles() {
      found.problems.append(
        CorpusError(
          .foreignShard, "\(directory.absolute(file)) has not the name of a shard, and is left out",
          remedy: "move it away, or give it the name that it had"))
    }
    // With shards that cannot be read, the index knows more than could be found.
    if let index, found.problems.isEmpty {
      found.problems += try index.audit(runs: Set(firstCopies.keys), cancellation)
    }
    return found
  }

  /// Takes note of a shard's runs, and names those of which another shard holds other contents.
  private static func conflicts(
    of shard: ShardVerification, with firstCopies: inout FirstCopies
  ) -> [CorpusError] {
    var problems: [CorpusError] = []
    for (run, hash) in shard.hashes {
      if let other = firstCopies[run], other.hash != hash {
        problems.append(
          CorpusError(
            .conflictingRuns, "\(other.file) and \(shard.file) hold different runs \(run)",
            remedy: "keep the one that you trust and move the other out of the corpus"))
      }
      firstCopies[run] = firstCopies[run] ?? (hash, shard.file)
    }
    return problems
  }

  /// Whether a file of a single run is no more, and its run in a sealed shard.
  private func isSealed(_ file: String) -> Bool {
    guard let seed = CorpusDirectory.seed(ofRunFile: file), !Files.exists(directory.absolute(file)) else {
      return false
    }
    return (try? StoredRuns(directory).sealed[seed]) != nil
  }

  /// The index, where it can be compared with the shards.
  private func openIndex(
    _ cancellation: Cancellation, report: (CorpusError) -> Void
  ) throws(CorpusError) -> IndexReader? {
    do throws(CorpusError) {
      let index = try IndexReader(opening: directory, allowStale: true)
      try index.requireWhole(cancellation)
      _ = try IndexReader(opening: directory)
      return index
    } catch {
      try cancellation.check()
      report(error)
      return nil
    }
  }

  private func audit(_ shard: ShardVerification, _ index: IndexReader?) throws(CorpusError) -> [CorpusError] {
    guard let index, let reader = shard.reader else { return [] }
    do throws(CorpusError) {
      return try index.audit(reader)
    } catch {
      return [error]
    }
  }
}

extension CorpusVerification.Result {
  fileprivate mutating func add(_ shard: ShardVerification) {
    shards += 1
    runs += shard.runs
    checkpoints += shard.checkpoints
    parameterBytes += shard.parameterBytes
  }
}
