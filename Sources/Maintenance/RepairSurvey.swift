import Platform
import Corpus
import MetricIndex
import ShardStore
import Synchronization

/// A hash that says what a damaged or lost run was.
struct RunRecord: Hashable, Sendable {
  let source: RepairedRun.Proof
  let hash: ContentHash
}

/// A file of a corpus that has to be stored anew, and what is left to do it with.
struct DamagedFile: Sendable {
  /// A run that the file holds, or held.
  struct Member: Sendable {
    let seed: Int64
    let state: State
  }

  enum State: Sendable {
    /// Whole, at this place in the shard.
    case whole(index: Int, hash: ContentHash)
    case damaged(CorpusError, records: [RunRecord])
  }

  /// Relative to the corpus.
  let file: String
  /// The shard as far as it can be read; nil where it cannot, or is not there.
  let shard: ShardReader?
  var members: [Member]
  /// What is wrong with the file as a whole, if anything.
  var damage: CorpusError?
  /// Whether the file may hold more than its members, and has to be kept.
  var isKept = false

  /// Whether there is nothing in its place.
  var isLost: Bool { shard == nil && damage == nil }

  var damagedMembers: [Member] {
    members.filter {
      if case .damaged = $0.state { true } else { false }
    }
  }
}

/// Everything in a corpus that is damaged or lost.
struct RepairSurvey: Sendable {
  private(set) var files: [DamagedFile] = []
  /// What a repair cannot help, such as shards of another corpus.
  private(set) var problems: [CorpusError] = []

  /// A shard that is unreadable without a record of its runs is taken to have held all that its name spans, if it
  /// is not more than this.
  private static let longestGuess: Int64 = 10_000

  /// Reads every checkpoint of the corpus.
  ///
  /// - Parameter indexed: what the index knows of the runs.
  init(
    _ directory: CorpusDirectory, indexed: [Int64: IndexedRun], workers: Int, cancellation: Cancellation,
    progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) {
    let files = try directory.shardFiles()
    let found = Mutex<[Examination]>([])
    try parallelForEach(files, workers: workers) { (file) throws(CorpusError) in
      let result = try Examination(of: file, in: directory, indexed, cancellation)
      progress(
        found.withLock {
          $0.append(result)
          return $0.count
        }, files.count)
    }
    let examinations = found.withLock { $0 }.sorted { $0.file < $1.file }
    // The runs that are whole somewhere, or will be made again where they were.
    var known: [Int64: (hash: ContentHash, file: String)] = [:]
    for examination in examinations {
      for (seed, hash) in examination.whole {
        if let other = known[seed], other.hash != hash {
          problems.append(
            CorpusError(
              .conflictingRuns,
              "\(directory.absolute(other.file)) and \(directory.absolute(examination.file)) hold different "
                + "runs \(seed)",
              remedy: "see with `corpus verify --runs \(seed)` which one its seed makes, and move the other "
                + "out of the corpus"))
        }
        known[seed] = (hash, examination.file)
      }
      problems += examination.problem.map { [$0] } ?? []
    }
    for examination in examinations {
      guard var damaged = examination.damaged else { continue }
      if damaged.members.isEmpty {
        do throws(CorpusError) {
          damaged.members = try Self.guessedMembers(of: damaged, in: directory, known: Set(known.keys))
        } catch {
          problems.append(error)
          continue
        }
      }
      self.files.append(damaged)
    }
    for file in try directory.strayFiles() {
      problems.append(
        CorpusError(
          .foreignShard, "\(directory.absolute(file)) has not the name of a shard, and is left out",
          remedy: "move it away, or give it the name that it had"))
    }
    addLost(indexed, directory, found: Set(known.keys))
  }

  /// Runs that the index knows and no file holds are made again as files of their own.
  private mutating func addLost(
    _ indexed: [Int64: IndexedRun], _ directory: CorpusDirectory, found: Set<Int64>
  ) {
    let found = found.union(files.flatMap { $0.members.map(\.seed) })
    for (seed, run) in indexed.sorted(by: { $0.key < $1.key }) where !found.contains(seed) {
      let path = directory.absolute(run.file)
      let damage = CorpusError(
        .damagedShard,
        Files.exists(path)
          ? "run \(seed) is recorded in the index, and \(path) does not hold it"
          : "run \(seed) is recorded in the index, and \(path) is gone",
        remedy: "restore it from a copy")
      files.append(
        DamagedFile(
          file: directory.runFile(seed: seed), shard: nil,
          members: [
            .init(
              seed: seed,
              state: .damaged(damage, records: [RunRecord(source: .index, hash: run.contentHash)]))
          ]))
    }
  }

  /// Which runs a sealed shard held of which nothing but its name is left.
  private static func guessedMembers(
    of damaged: DamagedFile, in directory: CorpusDirectory, known: Set<Int64>
  ) throws(CorpusError) -> [DamagedFile.Member] {
    let path = directory.absolute(damaged.file)
    let damage = damaged.damage ?? CorpusError(.damagedShard, "\(path) is damaged", remedy: "restore it")
    guard let seeds = CorpusDirectory.seeds(ofSealedFile: damaged.file), seeds.count <= longestGuess else {
      throw CorpusError(
        .damagedShard, "\(damage.message), and nothing tells which runs it held",
        remedy: "move it out of the corpus and generate its runs again", cause: damage.cause)
    }
    let salvaged = SalvagedRecords(from: path).hashes
    return seeds.filter { !known.contains($0) }.map { seed in
      let records = salvaged[seed].map { [RunRecord(source: .shard, hash: $0)] } ?? []
      return .init(seed: seed, state: .damaged(damage, records: records))
    }
  }
}

/// What is found out about one file.
private struct Examination: Sendable {
  let file: String
  var whole: [Int64: ContentHash] = [:]
  var damaged: DamagedFile?
  /// What no repair can help.
  var problem: CorpusError?

  init(
    of file: String, in directory: CorpusDirectory, _ indexed: [Int64: IndexedRun],
    _ cancellation: Cancellation
  ) throws(CorpusError) {
    self.file = file
    let path = directory.absolute(file)
    do throws(CorpusError) {
      let shard = try ShardReader(opening: path)
      try shard.header.requireMember(of: directory.manifest, path: path)
      try read(shard, indexed, directory, cancellation)
    } catch {
      let isRecorded = indexed.values.contains { $0.file == file }
      switch error.code {
      case .interrupted: throw error
      case .damagedShard: damaged = Self.unreadable(file, error, indexed, path: path)
      // Something else has taken the place of a shard that the index knows.
      case .foreignShard where isRecorded, .unsupportedVersion where isRecorded:
        damaged = Self.unreadable(file, error, indexed, path: nil)
        damaged?.isKept = true
      default: problem = error
      }
    }
  }

  private mutating func read(
    _ shard: ShardReader, _ indexed: [Int64: IndexedRun], _ directory: CorpusDirectory,
    _ cancellation: Cancellation
  ) throws(CorpusError) {
    var damage: CorpusError?
    do throws(CorpusError) {
      try shard.requireName(file)
    } catch {
      // What lies under another run's name is somebody's, perhaps the only copy.
      damaged = Self.unreadable(file, error, indexed, path: nil)
      damaged?.isKept = true
      return
    }
    do throws(CorpusError) {
      try shard.checkChunkTable()
    } catch  where error.code == .damagedShard {
      damage = error
    }
    var decoder = try RunDecoder(header: shard.header)
    var members: [DamagedFile.Member] = []
    for (index, stored) in shard.runs.enumerated() {
      try cancellation.check()
      do throws(CorpusError) {
        _ = try decoder.run(at: index, in: shard)
        whole[stored.seed] = stored.contentHash
        members.append(.init(seed: stored.seed, state: .whole(index: index, hash: stored.contentHash)))
      } catch  where error.code == .damagedShard {
        let contents = try? Self.contents(of: stored, in: shard, &decoder)
        let seed = contents.flatMap { misread(stored, $0, among: shard) } ?? stored.seed
        var records = [RunRecord(source: .shard, hash: stored.contentHash)]
        if let known = indexed[seed] { records.append(RunRecord(source: .index, hash: known.contentHash)) }
        if seed == stored.seed, let hash = try contents.map(ContentHash.init) {
          records.append(RunRecord(source: .contents, hash: hash))
        }
        members.append(.init(seed: seed, state: .damaged(error, records: records)))
      }
    }
    let result = DamagedFile(file: file, shard: shard, members: members, damage: damage)
    if damage != nil || !result.damagedMembers.isEmpty { damaged = result }
  }

  /// The stored checkpoints and metrics, whatever is recorded of them.
  private static func contents(
    of stored: StoredRun, in shard: ShardReader, _ decoder: inout RunDecoder
  ) throws(CorpusError) -> Run {
    Run(
      seed: stored.seed, iterations: shard.iterations(of: stored), metrics: shard.metrics(of: stored),
      parameters: try decoder.parameters(of: stored, steps: 0..<stored.count, in: shard),
      limit: stored.status == .outOfRange ? RunStatus.limit : RunStatus.limit(ofTask: shard.header.task))
  }

  /// The run that this is by its hash, where it is its seed that is damaged.
  private func misread(_ stored: StoredRun, _ contents: Run, among shard: ShardReader) -> Int64? {
    guard let seeds = CorpusDirectory.seeds(ofSealedFile: file), seeds.count <= 10_000 else { return nil }
    let known = Set(shard.runs.map(\.seed))
    return seeds.first { seed in
      if known.contains(seed) { return false }
      let run = Run(
        seed: seed, iterations: contents.iterations, metrics: contents.metrics,
        parameters: contents.parameters)
      return (try? ContentHash(of: run)) == stored.contentHash
    }
  }

  /// The seeds of a table that nothing proves, if they fit the shard's name; else none.
  private static func believable(_ seeds: [Int64], _ file: String) -> [Int64] {
    guard let named = CorpusDirectory.seeds(ofSealedFile: file), seeds.first == named.first,
      seeds.last == named.last
    else { return [] }
    return seeds
  }

  /// A file of which no run can be read: its runs are those that the index, its own table or its name tell.
  ///
  /// - Parameter path: where to look for what is left of its table; nil where that is another's.
  private static func unreadable(
    _ file: String, _ damage: CorpusError, _ indexed: [Int64: IndexedRun], path: String?
  ) -> DamagedFile {
    let salvaged = path.map { SalvagedRecords(from: $0).hashes } ?? [:]
    let seeds: [Int64]
    if let seed = CorpusDirectory.seed(ofRunFile: file) {
      seeds = [seed]
    } else {
      let recorded = indexed.filter { $0.value.file == file }.keys.sorted()
      seeds = recorded.isEmpty ? believable(salvaged.keys.sorted(), file) : recorded
    }
    return DamagedFile(
      file: file, shard: nil,
      members: seeds.map { seed in
        let records = [
          salvaged[seed].map { RunRecord(source: .shard, hash: $0) },
          indexed[seed].map { RunRecord(source: .index, hash: $0.contentHash) },
        ]
        return .init(seed: seed, state: .damaged(damage, records: records.compactMap { $0 }))
      }, damage: damage)
  }
}
