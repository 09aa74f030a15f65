public import Platform
public import ShardStore
import CorpusStore
public import Corpus
import Synchronization

/// Turns the files of single runs into sealed shards of many, by copying their compressed chunks.
///
/// A run that is sealed already is not sealed again: its single file goes if both are proven to be equal, and
/// stays, as a problem, if they are not.
public struct Compaction: Sendable {
  /// What a compaction did.
  public struct Report: Sendable {
    /// Runs that were sealed.
    public var runs = 0
    public var sealedFiles: [String] = []
    /// Single files that went because their runs were sealed before.
    public var duplicates = 0
    /// Files that were left to those who have just made their runs, and have not let go of them.
    public var awaited = 0
    /// Files that were left where they are: damaged, foreign, or of another run than the sealed one.
    public var problems: [CorpusError] = []
  }

  /// Where a compaction is.
  public enum Stage: String, Sendable {
    /// Proving single runs against their hashes.
    case proving
    /// Copying them into sealed shards.
    case sealing
  }

  /// A single run's file that has been proven.
  private struct Source: Sendable {
    let file: String
    let seed: Int64
    let count: Int
    let header: ShardHeader
    let contentHash: ContentHash
    let bytes: Int
  }

  private let directory: CorpusDirectory
  private let bytesPerShard: Int
  private let workers: Int

  /// - Parameters:
  ///   - bytesPerShard: a sealed shard is closed before it grows beyond this.
  ///   - workers: how many runs to prove at a time.
  public init(
    directory: CorpusDirectory, bytesPerShard: Int = 512 << 20, workers: Int = Workers.available
  ) {
    self.directory = directory
    self.bytesPerShard = bytesPerShard
    self.workers = workers
  }

  /// Seals all runs that are there now.
  ///
  /// - Parameters:
  ///   - progress: called after each run with the stage, the number of runs done in it and that of all.
  ///   - indexing: called with each sealed file before the files that it replaces are removed.
  public func run(
    cancellation: Cancellation = Cancellation(),
    progress: @escaping @Sendable (Stage, Int, Int) -> Void = { _, _, _ in },
    indexing: (String) throws(CorpusError) -> Void
  ) throws(CorpusError) -> Report {
    let locks = try RunLocks.lockingCompaction(directory)
    defer { locks.unlock(RunLocks.compaction) }
    // Copies of a corpus may lack it, as some tools leave out empty directories.
    try Files.createDirectory(directory.shardsPath)
    try TemporaryFile.removeLeftovers(in: directory.shardsPath) { _ in true }
    try locks.removeUnfinishedRuns(of: directory)
    var report = Report()
    let stored = try StoredRuns(directory)
    report.problems += stored.problems
    let sources = try prove(locks, &report, cancellation, progress)
    let unsealed = try removeDuplicates(of: stored, among: sources, &report, indexing)
    for group in groups(unsealed) {
      let file = directory.sealedFile(first: group[0].seed, last: group[group.count - 1].seed)
      try seal(group, as: file) { () throws(CorpusError) in
        report.runs += 1
        progress(.sealing, report.runs, unsealed.count)
        try cancellation.check()
      }
      report.sealedFiles.append(file)
      try indexing(file)
      for source in group { try Files.remove(directory.absolute(source.file)) }
      try Files.synchronizeDirectory(directory.runsPath)
    }
    return report
  }

  /// Reads every single run whole, so that nothing damaged is sealed and its source removed.
  private func prove(
    _ locks: RunLocks, _ report: inout Report, _ cancellation: Cancellation,
    _ progress: @escaping @Sendable (Stage, Int, Int) -> Void
  ) throws(CorpusError) -> [Source] {
    let single = try directory.shardFiles().compactMap { file in
      CorpusDirectory.seed(ofRunFile: file).map { (file: file, seed: $0) }
    }
    // Who made a run keeps the claim until the run is in the index, and needs the file until then.
    let files = single.filter { !locks.isLocked($0.seed) }.map(\.file)
    report.awaited = single.count - files.count
    let found = Mutex<(sources: [Source], problems: [CorpusError])>(([], []))
    try parallelForEach(files, workers: workers) { (file) throws(CorpusError) in
      try cancellation.check()
      do throws(CorpusError) {
        let source = try examine(file)
        found.withLock { $0.sources.append(source) }
      } catch {
        found.withLock { $0.problems.append(error) }
      }
      progress(.proving, found.withLock { $0.sources.count + $0.problems.count }, files.count)
    }
    report.problems += found.withLock { $0.problems.sorted { $0.message < $1.message } }
    return found.withLock { $0.sources.sorted { $0.seed < $1.seed } }
  }

  private func examine(_ file: String) throws(CorpusError) -> Source {
    let shard = try ShardReader(opening: file, of: directory)
    var decoder = try RunDecoder(header: shard.header)
    _ = try decoder.run(at: 0, in: shard)
    let run = shard.runs[0]
    return Source(
      file: file, seed: run.seed, count: run.count, header: shard.header, contentHash: run.contentHash,
      bytes: run.chunks.reduce(0) { $0 + $1.bytes })
  }

  /// Removes single files whose runs are sealed, once the sealed ones are proven.
  ///
  /// - Returns: the sources whose runs are not sealed.
  private func removeDuplicates(
    of stored: StoredRuns, among sources: [Source], _ report: inout Report,
    _ indexing: (String) throws(CorpusError) -> Void
  ) throws(CorpusError) -> [Source] {
    var unsealed: [Source] = []
    for source in sources {
      guard let sealed = stored.sealed[source.seed] else {
        unsealed.append(source)
        continue
      }
      do throws(CorpusError) {
        guard sealed.contentHash == source.contentHash else {
          throw CorpusError(
            .conflictingRuns,
            "\(directory.absolute(source.file)) and \(directory.absolute(sealed.file)) hold different runs "
              + "\(source.seed)", remedy: "keep the one that you trust and move the other out of the corpus")
        }
        let shard = try ShardReader(opening: directory.absolute(sealed.file))
        var decoder = try RunDecoder(header: shard.header)
        guard let index = shard.runs.firstIndex(where: { $0.contentHash == source.contentHash }) else {
          throw CorpusError.damagedShard(shard.path, "it has lost run \(source.seed)")
        }
        _ = try decoder.run(at: index, in: shard)
        try indexing(sealed.file)
        try Files.remove(directory.absolute(source.file))
        report.duplicates += 1
      } catch {
        report.problems.append(error)
      }
    }
    return unsealed
  }

  /// Cuts runs, in order of their seeds, into shards: one kind of header each, and not too many bytes.
  private func groups(_ sources: [Source]) -> [[Source]] {
    var groups: [[Source]] = []
    var bytes = 0
    for source in sources {
      let joins = groups.last.map { $0[0].header == source.header } ?? false
      if joins && bytes + source.bytes <= bytesPerShard {
        groups[groups.count - 1].append(source)
        bytes += source.bytes
      } else {
        groups.append([source])
        bytes = source.bytes
      }
    }
    return groups
  }

  private func seal(
    _ group: [Source], as file: String, each: () throws(CorpusError) -> Void
  ) throws(CorpusError) {
    var writer = try ShardWriter(
      path: directory.absolute(file), header: group[0].header, counts: group.map(\.count),
      bytes: group.reduce(0) { $0 + $1.bytes })
    for source in group {
      let run = try ShardReader(opening: directory.absolute(source.file)).encodedRun(at: 0)
      guard run.contentHash == source.contentHash else {
        throw CorpusError.damagedShard(directory.absolute(source.file), "it is not the run that was proven")
      }
      try writer.append(run)
      try each()
    }
    try writer.finish(replacing: false, provers: workers)
  }
}
