public import Platform
import CorpusStore
import Tasks
public import Corpus
import MetricIndex
public import ShardStore
import Synchronization

/// Turns a directory in the released layout into a corpus.
///
/// A run at a time is read from the LMDB map, checked, stored, read back and compared. Runs that are stored already
/// are not read, so the same import goes on where an earlier one was stopped.
public struct LMDBImport: Sendable {
  /// How far an import has come.
  public struct Progress: Sendable {
    /// The number of runs in the release.
    public var total = 0
    /// Those that were stored before.
    public var found = 0
    public var stored = 0
    /// Those that another process is importing.
    public var elsewhere = 0
    /// Those that could not be imported.
    public var failed = 0
    public var checkpoints = 0
    public var rawBytes = 0
    public var compressedBytes = 0
    /// Of the stored ones, those of another status than `ok`.
    public var bad = 0
    /// Shards taken up into the index, which is done at the end.
    public var indexed = 0
    public var problems: [CorpusError] = []

    public var done: Int { found + stored + elsewhere + failed }
  }

  public var directory: CorpusDirectory
  private let release: Release
  private let includesUnfinished: Bool
  private let task: ReleasedTask
  private let stepsPerEpoch: Int
  private let header: ShardHeader

  /// Opens a release and the corpus to import it into, which is made where it is missing.
  ///
  /// - Parameters:
  ///   - task: what it holds; nil to find out from the sizes of its tensors.
  ///   - stepsPerEpoch: nil to find out: the last checkpoint of a finished run ends an epoch.
  ///   - codec: how to store the runs; nil for as the corpus does.
  ///   - includesUnfinished: whether to import runs without `DONE.txt`.
  /// - Throws: `malformedRelease`; `differentTask` or `differentRecipe` if the corpus holds other runs.
  public init(
    _ release: Release, into path: String, task name: String? = nil, stepsPerEpoch: Int? = nil,
    codec: Codec? = nil, includesUnfinished: Bool = false
  ) throws(CorpusError) {
    let named: ReleasedTask? = if let name { try ReleasedTask(named: name) } else { nil }
    let sample = try Sample(release, task: named, includesUnfinished: includesUnfinished)
    let existing = Files.exists("\(path)/corpus.json") ? try CorpusDirectory(opening: path) : nil
    task = sample.task
    self.release = release
    self.includesUnfinished = includesUnfinished
    var recipe: [String: JSONValue] = ["imported_from": .string("lmdb")]
    if task.hasEpochs {
      guard let steps = stepsPerEpoch ?? existing?.importedStepsPerEpoch ?? sample.stepsPerEpoch else {
        throw CorpusError(
          .malformedRelease, "the runs of \(release.path) do not tell how many steps an epoch has",
          remedy: "say it with --steps-per-epoch")
      }
      self.stepsPerEpoch = steps
      recipe["steps_per_epoch"] = .number(Double(steps))
    } else {
      self.stepsPerEpoch = 0
    }
    directory = try CorpusDirectory(
      openingOrCreating: path,
      manifest: Manifest(
        task: task.name, architecture: task.architecture, metrics: task.metrics, recipe: .object(recipe),
        generatorVersion: 0, split: SplitRule(testLimit: task.testLimit), codec: codec ?? .delta))
    header = ShardHeader(
      manifest: directory.manifest, codec: codec ?? directory.manifest.codec, checkpoints: sample.checkpoints)
  }

  /// Imports the runs that are not stored yet.
  ///
  /// - Parameter report: called from the workers after each run.
  /// - Returns: what was done, and what is wrong with the runs that were left out.
  /// - Throws: what makes it pointless to go on, such as a full disk; what was stored until then stays.
  public func run(
    workers: Int, cancellation: Cancellation = Cancellation(),
    report: @escaping @Sendable (Progress) -> Void = { _ in }
  ) throws(CorpusError) -> Progress {
    var start = Progress(problems: release.problems)
    let writer = try CorpusWriter(directory, index: nil)
    let stored = try writer.sealedRuns.union(
      directory.shardFiles().compactMap(CorpusDirectory.seed(ofRunFile:)))
    start.total = release.folders.reduce(0) { $0 + $1.runs.count }
    let folders = release.folders.filter { folder in
      let new = folder.runs.count { !stored.contains($0.seed) }
      start.found += folder.runs.count - new
      if new > 0, !folder.isFinished, !includesUnfinished {
        start.failed += new
        start.problems.append(Self.unfinished(folder.path))
        return false
      }
      return new > 0
    }
    let state = Mutex(start)
    report(start)
    let note: @Sendable ((inout Progress) -> Void) -> Void = { change in
      report(
        state.withLock {
          change(&$0)
          return $0
        })
    }
    let work = Result { () throws(CorpusError) in
      try importAll(folders, except: stored, with: writer, workers: workers, cancellation, note)
    }
    // What was stored before a failure, or a request to stop, is worth finding, too.
    let index = Result { () throws(CorpusError) in try updateIndex(note) }
    try work.get()
    try index.get()
    return state.withLock { $0 }
  }

  private func importAll(
    _ folders: [Release.Folder], except stored: Set<Int64>, with writer: CorpusWriter, workers: Int,
    _ cancellation: Cancellation, _ note: @escaping @Sendable ((inout Progress) -> Void) -> Void
  ) throws(CorpusError) {
    try parallelForEach(
      folders, workers: workers, state: { () throws(CorpusError) in try Worker(self, writer) }
    ) { (folder, worker) throws(CorpusError) in
      try worker.importFolder(folder, except: stored, cancellation, note: note)
    }
  }

  /// Takes up all that is new.
  ///
  /// At the end, by one process, so that its threads do not wait for each other.
  private func updateIndex(_ note: ((inout Progress) -> Void) -> Void) throws(CorpusError) {
    let progress = { (done: Int, _: Int) in note { $0.indexed = done } }
    let report = try MetricIndex(openingOrCreating: directory).synchronize(progress: progress)
    note { $0.problems += report.problems }
  }

  private static func unfinished(_ path: String) -> CorpusError {
    CorpusError(
      .malformedRelease, "\(path) is left out: it has no DONE.txt, so its training had not ended",
      remedy: "add --unfinished to import it as it is")
  }
}

extension LMDBImport {
  /// What one thread needs.
  private struct Worker: ~Copyable {
    private let job: LMDBImport
    private let writer: CorpusWriter
    private var encoder: RunEncoder
    private var decoder: RunDecoder
    /// What is read back, in the same memory each time.
    private var buffer: [Float] = []

    init(_ job: LMDBImport, _ writer: CorpusWriter) throws(CorpusError) {
      let encoder = try RunEncoder(header: job.header)
      let decoder = try RunDecoder(header: job.header)
      self.job = job
      self.writer = writer
      self.encoder = encoder
      self.decoder = decoder
    }

    /// - Parameter note: called with what to change in the progress, after each run.
    mutating func importFolder(
      _ folder: Release.Folder, except stored: Set<Int64>, _ cancellation: Cancellation,
      note: ((inout Progress) -> Void) -> Void
    ) throws(CorpusError) {
      let job = job
      let runs = folder.runs.filter { !stored.contains($0.seed) }
      try cancellation.check()
      let source: ReleasedFolder
      do throws(CorpusError) {
        source = try ReleasedFolder(opening: folder)
      } catch {
        return note { progress in
          progress.failed += runs.count
          progress.problems.append(error)
        }
      }
      for run in runs {
        try cancellation.check()
        var contents: Run?
        var problem: CorpusError?
        let outcome = try writer.store(run.seed, with: &encoder) {
          do throws(CorpusError) {
            contents = try source.run(
              run.name, seed: run.seed, task: job.task, stepsPerEpoch: job.stepsPerEpoch)
            return contents
          } catch {
            problem = error
            return nil
          }
        }
        if case .stored(let encoded) = outcome, let contents { problem = readBack(contents, encoded) }
        note { $0.add(outcome, problem, parameters: job.header.parameterCount) }
      }
    }

    /// Proves that what was stored is what was read: bit for bit, as that takes less time than hashing it.
    private mutating func readBack(_ run: Run, _ encoded: EncodedRun) -> CorpusError? {
      let path = job.directory.absolute(job.directory.runFile(seed: run.seed))
      // A compaction that takes it away proves it, too.
      guard Files.exists(path) else { return nil }
      do throws(CorpusError) {
        let shard = try ShardReader(opening: path)
        let stored = shard.runs[0]
        if buffer.count != run.parameters.count {
          buffer = [Float](repeating: 0, count: run.parameters.count)
        }
        let isWhole = stored.count == run.count
        if isWhole {
          try buffer.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
            try decoder.decode(stored, steps: 0..<run.count, in: shard, into: buffer)
          }
        }
        let isEqual =
          isWhole && stored.seed == run.seed && stored.contentHash == encoded.contentHash
          && shard.iterations(of: stored) == run.iterations && buffer.hasBytes(of: run.parameters)
          && zip(shard.metrics(of: stored), run.metrics).allSatisfy { $0.hasBytes(of: $1) }
        if isEqual { return nil }
        return CorpusError(
          .damagedShard, "\(path) does not hold the run that was just stored there",
          remedy: "check the disk, delete the file and import it again")
      } catch {
        return error
      }
    }
  }

  /// What is found in the first run that can be read.
  private struct Sample {
    let task: ReleasedTask
    let stepsPerEpoch: Int?
    let checkpoints: Int

    init(_ release: Release, task: ReleasedTask?, includesUnfinished: Bool) throws(CorpusError) {
      var failure: CorpusError?
      for folder in release.folders where folder.isFinished || includesUnfinished {
        do throws(CorpusError) {
          let source = try ReleasedFolder(opening: folder)
          let run = folder.runs[0].name
          let sizes = try source.tensorSizes(of: run)
          let found = ReleasedTask.all.first { $0.tensorSizes == sizes }
          guard let found, task == nil || task?.name == found.name else {
            throw CorpusError(
              .differentTask,
              "\(folder.path) does not hold networks of "
                + (task.map { "task \($0.name)" } ?? "a task of the release")
                + ": the sizes of their tensors are "
                + sizes.map { $0.description.replacing(".0", with: "") }.joined(separator: ", "),
              remedy: found.map { "import it with --task \($0.name)" } ?? "check the directory")
          }
          let moments = try source.checkpoints(of: run, hasEpochs: found.hasEpochs).map(\.moment)
          self.task = found
          checkpoints = moments.count
          stepsPerEpoch = folder.isFinished ? Self.stepsPerEpoch(moments) : nil
          return
        } catch {
          if error.code == .differentTask { throw error }
          failure = failure ?? error
        }
      }
      throw failure ?? LMDBImport.unfinished(release.folders[0].path)
    }

    /// The largest number within an epoch, which is that of the training's end.
    private static func stepsPerEpoch(_ moments: [ReleasedMoment]) -> Int? {
      // Where later epochs begin at 0, they are not counted as in the release.
      if moments.contains(where: { $0.epoch ?? 0 > 0 && $0.iteration == 0 }) { return nil }
      return moments.map(\.iteration).max().flatMap { $0 > 0 ? $0 : nil }
    }
  }
}

extension LMDBImport.Progress {
  fileprivate mutating func add(_ outcome: CorpusWriter.Outcome, _ problem: CorpusError?, parameters: Int) {
    switch outcome {
    case .stored(let run):
      stored += 1
      checkpoints += run.count
      rawBytes += 4 * parameters * run.count
      compressedBytes += run.compressedBytes
      if run.status != .ok { bad += 1 }
    case .found: found += 1
    case .claimedElsewhere: elsewhere += 1
    case .abandoned: failed += 1
    }
    if let problem { problems.append(problem) }
  }
}

extension CorpusDirectory {
  /// What an earlier import found out.
  fileprivate var importedStepsPerEpoch: Int? {
    guard manifest.recipe["imported_from"] != nil else { return nil }
    return manifest.stepsPerEpoch
  }
}

extension Manifest {
  /// The optimizer steps of an epoch, or nil where the recipe does not tell.
  var stepsPerEpoch: Int? {
    if case .number(let steps) = recipe["steps_per_epoch"] { return Int(exactly: steps) }
    guard case .number(let images) = recipe["dataset"]?["train_images"],
      case .number(let batch) = recipe["batch_size"], batch >= 1
    else { return nil }
    return Int(exactly: (images / batch).rounded(.down))
  }
}
