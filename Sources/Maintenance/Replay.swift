public import Platform
import CorpusStore
public import Tasks
public import Corpus
public import ShardStore
import Synchronization

/// Proves stored runs by making them again and comparing content hashes.
public struct Replay: Sendable {
  public struct Result: Sendable {
    /// Runs whose every bit came out again.
    public var equal = 0
    /// Runs that came out different, or whose records cannot be read.
    public var problems: [CorpusError] = []

    public var count: Int { equal + problems.count }
  }

  private let directory: CorpusDirectory
  private let task: any TrainingTask
  private let workers: Int

  public init(directory: CorpusDirectory, task: any TrainingTask, workers: Int) {
    self.directory = directory
    self.task = task
    self.workers = workers
  }

  /// Makes runs again.
  ///
  /// - Parameters:
  ///   - selection: which ones; they must be stored.
  ///   - progress: called after each run with what was found so far and the number of runs.
  /// - Throws: `unknownRun` if one is not stored.
  public func run(
    _ selection: Selection, cancellation: Cancellation, progress: @escaping @Sendable (Result, Int) -> Void
  ) throws(CorpusError) -> Result {
    let stored = try StoredRuns(directory)
    if let problem = stored.problems.first { throw problem }
    let seeds = try selection.seeds(among: allSeeds(stored), of: directory)
    let result = Mutex(Result())
    try parallelForEach(seeds, workers: workers) { (seed) throws(CorpusError) in
      try cancellation.check()
      let problem = try replay(seed, stored, cancellation)
      progress(
        result.withLock {
          if let problem { $0.problems.append(problem) } else { $0.equal += 1 }
          return $0
        }, seeds.count)
    }
    return result.withLock { $0 }
  }

  private func allSeeds(_ stored: StoredRuns) throws(CorpusError) -> [Int64] {
    let single = try directory.shardFiles().compactMap(CorpusDirectory.seed(ofRunFile:))
    return Set(single).union(stored.sealed.keys).sorted()
  }

  /// - Returns: what is wrong with the run, or nil if it came out again.
  private func replay(
    _ seed: Int64, _ stored: StoredRuns, _ cancellation: Cancellation
  ) throws(CorpusError) -> CorpusError? {
    let file =
      stored.sealed[seed]?.file ?? directory.presentRunFile(seed: seed) ?? directory.runFile(seed: seed)
    let recorded: ContentHash
    do throws(CorpusError) {
      recorded = try provenHash(of: seed, in: file)
    } catch {
      // A compaction may have sealed it meanwhile.
      guard !Files.exists(directory.absolute(file)), let moved = try StoredRuns(directory).sealed[seed]?.file,
        moved != file
      else { return error }
      return try replay(seed, StoredRuns(directory), cancellation)
    }
    guard let run = try task.storedRun(seed: seed, isCancelled: { cancellation.isCancelled }) else {
      try cancellation.check()
      return nil
    }
    let hash = try ContentHash(of: run)
    if hash == recorded { return nil }
    return CorpusError(
      .differentRun,
      "run \(seed) in \(directory.absolute(file)) is recorded as \("\(recorded)".prefix(12))… and comes "
        + "out as \("\(hash)".prefix(12))…",
      remedy:
        "check the file with `corpus verify`; if that finds nothing, this program does not make the bits "
        + "that it should, and that is a bug to report")
  }

  /// The recorded hash of a stored run, once its stored bits are proven to have it.
  private func provenHash(of seed: Int64, in file: String) throws(CorpusError) -> ContentHash {
    let shard = try ShardReader(opening: file, of: directory)
    var decoder = try RunDecoder(header: shard.header)
    for index in shard.runs.indices where shard.runs[index].seed == seed {
      _ = try decoder.run(at: index, in: shard)
      return shard.runs[index].contentHash
    }
    throw CorpusError(.unknownRun, "\(shard.path) has lost run \(seed)", remedy: "run the same command again")
  }
}

extension Replay {
  /// Which runs to make again.
  public enum Selection: Sendable {
    /// This many, at random.
    case random(Int)
    case range(Range<Int64>)

    func seeds(among stored: [Int64], of directory: CorpusDirectory) throws(CorpusError) -> [Int64] {
      switch self {
      case .random(let count): return Array(stored.shuffled().prefix(count))
      case .range(let range):
        let wanted = stored.filter(range.contains)
        guard wanted.count == range.count else {
          let known = Set(wanted)
          let missing = range.first { !known.contains($0) }
          throw CorpusError(
            .unknownRun, "there is no run \(missing ?? range.lowerBound) in \(directory.path)",
            remedy: "list them with `corpus query \(directory.path) \"SELECT run FROM runs\"`")
        }
        return wanted
      }
    }
  }
}
