public import Platform
public import ShardStore
import CorpusStore
public import Corpus
import Synchronization

/// Turns the files of single runs into sealed shards of many, by copying their compressed chunks.
///
/// A run that is sealed already is not sealed again: its single file goes if both are proven to be equal, and
/// stays, as a problem, if they are not.
///
/// It goes through the runs in portions that make one shard or a few: what is sealed stays so when it is stopped, and memory
/// holds a portion at most.
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
    /// What was read and proven, where it is small: its file need not be opened again.
    let run: EncodedRun?
  }

  /// So many runs are in a sealed shard at most: of small networks, the tables that each reader of a shard has in memory are
  /// larger than the networks.
  static let runsPerShard = 4_096
  /// Runs are kept from proof to sealing if their files have at most so many bytes.
  private static let keptBytes = 32 << 10

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
    var stored = try StoredRuns(directory)
    report.problems += stored.problems
    let files = try unclaimedFiles(locks, &report)
    let total = files.reduce(0) { $0 + $1.count }
    var proven = 0
    // Of a run that has two files the second one is looked at when the first one is sealed.
    for files in files {
      try stored.refresh()
      for portion in portions(files) {
        let before = proven
        let sources = try prove(portion, &report, cancellation) { progress(.proving, before + $0, total) }
        proven += portion.count
        let unsealed = try removeDuplicates(of: stored, among: sources, &report, indexing)
        for group in groups(unsealed) {
          try seal(group, &report, indexing: indexing) { (runs) throws(CorpusError) in
            progress(.sealing, runs, total)
            try cancellation.check()
          }
        }
      }
    }
    return report
  }

  /// The files of single runs, in order of their seeds: those of all runs, and then second ones of the same runs.
  private func unclaimedFiles(_ locks: RunLocks, _ report: inout Report) throws(CorpusError) -> [[String]] {
    let single = try directory.shardFiles().compactMap { file in
      CorpusDirectory.seed(ofRunFile: file).map { (file: file, seed: $0) }
    }.sorted { ($0.seed, $0.file) < ($1.seed, $1.file) }
    // Who made a run keeps the claim until the run is in the index, and needs the file until then.
    let unclaimed = single.filter { !locks.isLocked($0.seed) }
    report.awaited = single.count - unclaimed.count
    var files: [[String]] = [[], []]
    for (number, run) in unclaimed.enumerated() {
      let isSecond = number > 0 && unclaimed[number - 1].seed == run.seed
      files[isSecond ? 1 : 0].append(run.file)
    }
    return files
  }

  /// Cuts files, by their lengths, into portions of about a shard.
  private func portions(_ files: [String]) -> [ArraySlice<String>] {
    var portions: [ArraySlice<String>] = []
    var (start, bytes) = (0, 0)
    for (number, file) in files.enumerated() {
      let size = Int((try? Files.size(directory.absolute(file))) ?? 0)
      if number > start, number - start == Self.runsPerShard || bytes + size > bytesPerShard {
        portions.append(files[start..<number])
        (start, bytes) = (number, 0)
      }
      bytes += size
    }
    return start < files.count ? portions + [files[start...]] : portions
  }

  /// Reads every single run whole, so that nothing damaged is sealed and its source removed.
  ///
  /// - Parameter each: called after each run with the number of those that were read.
  private func prove(
    _ files: ArraySlice<String>, _ report: inout Report, _ cancellation: Cancellation,
    each: @escaping @Sendable (Int) -> Void
  ) throws(CorpusError) -> [Source] {
    let found = Mutex<(sources: [Source], problems: [CorpusError])>(([], []))
    try parallelForEach(Array(files), workers: workers) { (file) throws(CorpusError) in
      try cancellation.check()
      do throws(CorpusError) {
        let source = try examine(file)
        found.withLock { $0.sources.append(source) }
      } catch {
        found.withLock { $0.problems.append(error) }
      }
      each(found.withLock { $0.sources.count + $0.problems.count })
    }
    report.problems += found.withLock { $0.problems.sorted { $0.message < $1.message } }
    return found.withLock { $0.sources.sorted { $0.seed < $1.seed } }
  }

  private func examine(_ file: String) throws(CorpusError) -> Source {
    let shard = try ShardReader(opening: file, of: directory)
    var decoder = try RunDecoder(header: shard.header)
    _ = try decoder.run(at: 0, in: shard)
    let run = shard.runs[0]
    let isKept = try Files.size(shard.path) <= Self.keptBytes
    return Source(
      file: file, seed: run.seed, count: run.count, header: shard.header, contentHash: run.contentHash,
      bytes: run.chunks.reduce(0) { $0 + $1.bytes }, run: isKept ? try shard.encodedRun(at: 0) : nil)
  }

  /// Removes single files whose runs are sealed, once the sealed ones are proven.
  ///
  /// - Returns: the sources whose runs are not sealed.
  private func removeDuplicates(
    of stored: StoredRuns, among sources: [Source], _ report: inout Report,
    _ indexing: (String) throws(CorpusError) -> Void
  ) throws(CorpusError) -> [Source] {
    var unsealed: [Source] = []
    var sealed: [String: [Source]] = [:]
    for source in sources {
      if let known = stored.sealed[source.seed] {
        sealed[known.file, default: []].append(source)
      } else {
        unsealed.append(source)
      }
    }
    for (file, sources) in sealed.sorted(by: { $0.key < $1.key }) {
      do throws(CorpusError) {
        let shard = try ShardReader(opening: directory.absolute(file))
        let duplicates = sources.filter { source in
          do throws(CorpusError) {
            try requireEqual(source, in: shard, file)
            return true
          } catch {
            report.problems.append(error)
            return false
          }
        }
        if duplicates.isEmpty { continue }
        try indexing(file)
        for source in duplicates { try Files.remove(directory.absolute(source.file)) }
        report.duplicates += duplicates.count
      } catch {
        report.problems.append(error)
      }
    }
    return unsealed
  }

  /// Proves that a sealed shard holds the run of a single file.
  private func requireEqual(
    _ source: Source, in shard: ShardReader, _ file: String
  ) throws(CorpusError) {
    guard let index = shard.runs.firstIndex(where: { $0.seed == source.seed }) else {
      throw CorpusError.damagedShard(shard.path, "it has lost run \(source.seed)")
    }
    guard shard.runs[index].contentHash == source.contentHash else {
      throw CorpusError(
        .conflictingRuns,
        "\(directory.absolute(source.file)) and \(shard.path) hold different runs \(source.seed)",
        remedy: "keep the one that you trust and move the other out of the corpus")
    }
    var decoder = try RunDecoder(header: shard.header)
    _ = try decoder.run(at: index, in: shard)
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

  /// Copies runs into a sealed shard, has that indexed, and removes their single files.
  ///
  /// - Parameter each: called after each run with the number of those that are sealed, these among them.
  private func seal(
    _ group: [Source], _ report: inout Report, indexing: (String) throws(CorpusError) -> Void,
    each: (Int) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let file = directory.sealedFile(first: group[0].seed, last: group[group.count - 1].seed)
    var writer = try ShardWriter(
      path: directory.absolute(file), header: group[0].header, counts: group.map(\.count),
      bytes: group.reduce(0) { $0 + $1.bytes })
    for (number, source) in group.enumerated() {
      let run =
        if let run = source.run { run } else {
          try ShardReader(opening: directory.absolute(source.file)).encodedRun(at: 0)
        }
      guard run.contentHash == source.contentHash else {
        throw CorpusError.damagedShard(directory.absolute(source.file), "it is not the run that was proven")
      }
      try writer.append(run)
      try each(report.runs + number + 1)
    }
    try writer.finish(replacing: false, provers: workers)
    report.sealedFiles.append(file)
    try indexing(file)
    for source in group { try Files.remove(directory.absolute(source.file)) }
    for folder in Set(group.map { Files.split($0.file).directory }) {
      try Files.synchronizeDirectory(directory.absolute(folder))
    }
    report.runs += group.count
  }
}
