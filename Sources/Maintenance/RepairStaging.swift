import Platform
import Tasks
import Corpus
import Glibc
import MetricIndex
import ShardStore
import Synchronization

/// Where a repair's new files are made, proven and put into their places.
///
/// They lie in `.repair`, beside what they replace; a run that an earlier repair has left there is not made again.
final class RepairStaging: Sendable {
  /// A run that was made again and lies proven in a file of its own.
  struct RemadeRun: Sendable {
    let path: String
    let hash: ContentHash
    let proofs: [RepairedRun.Proof]
  }

  private let directory: CorpusDirectory
  private let task: (any TrainingTask)?
  private let locks: RunLocks
  private let index: MetricIndex?
  private let cancellation: Cancellation
  private let total: Int
  private let progress = Atomic(0)
  private let result: Mutex<RepairReport>
  private let report: @Sendable (RepairEvent) -> Void

  /// - Parameters:
  ///   - task: nil only if no run has to be made again.
  ///   - total: the number of runs that have to be.
  init(
    directory: CorpusDirectory, task: (any TrainingTask)?, locks: RunLocks, cancellation: Cancellation,
    total: Int, problems: [CorpusError], report: @escaping @Sendable (RepairEvent) -> Void
  ) throws(CorpusError) {
    self.directory = directory
    self.task = task
    self.locks = locks
    self.cancellation = cancellation
    self.total = total
    self.report = report
    result = Mutex(RepairReport(problems: problems))
    do throws(CorpusError) {
      index = Files.exists(directory.indexPath) ? try MetricIndex(openingOrCreating: directory) : nil
    } catch  where error.code == .indexCorrupt {
      // It is made anew in the end.
      index = nil
    }
  }

  var reportSoFar: RepairReport { result.withLock { $0 } }

  // MARK: Runs

  /// Makes a run again and proves what lies on the disk.
  ///
  /// - Returns: nil if it did not come out as recorded, which is then a problem of the report, or was cancelled.
  func make(_ member: DamagedFile.Member, of file: DamagedFile) throws(CorpusError) -> RemadeRun? {
    guard let task, case .damaged(_, let records) = member.state else { return nil }
    try cancellation.check()
    let header =
      file.shard?.header
      ?? ShardHeader(
        manifest: directory.manifest, codec: directory.manifest.codec,
        checkpoints: task.checkpointsPerRun)
    let path = staged(directory.runFile(seed: member.seed))
    var found = try? provenHash(of: [member.seed], at: path, header: header).first
    if found == nil {
      let isStopped: @Sendable () -> Bool = { [cancellation] in cancellation.isCancelled }
      guard let run = try task.storedRun(seed: member.seed, isCancelled: isStopped) else { return nil }
      var encoder = try RunEncoder(header: header)
      try store([encoder.encode(run)], at: path, header: header)
      found = try provenHash(of: [member.seed], at: path, header: header).first
    }
    guard let hash = found else { return nil }
    let proofs = records.filter { $0.hash == hash }.map(\.source)
    guard records.isEmpty || !proofs.isEmpty else {
      try Files.remove(path)
      add(differs(member.seed, file, records[0].hash, hash))
      return nil
    }
    report(.made(progress.add(1, ordering: .relaxed).newValue, of: total))
    return RemadeRun(path: path, hash: hash, proofs: proofs)
  }

  private func differs(
    _ seed: Int64, _ file: DamagedFile, _ recorded: ContentHash, _ made: ContentHash
  ) -> CorpusError {
    CorpusError(
      .differentRun,
      "run \(seed) in \(directory.absolute(file.file)) is damaged or lost, and not repaired: it is recorded as "
        + "\("\(recorded)".prefix(12))… and comes out as \("\(made)".prefix(12))…",
      remedy:
        "restore it from a copy; if `corpus verify --replay` finds other runs that come out differently, "
        + "this program does not make the bits that it should, and that is a bug to report")
  }

  // MARK: Files

  /// Puts a new file in the place of a single run's that is damaged or lost.
  func mendSingle(_ file: DamagedFile) throws(CorpusError) {
    guard let member = file.members.first, try claim(member.seed) else { return }
    defer { locks.unlock(member.seed) }
    // Another process may have made what was lost.
    if file.isLost, Files.exists(directory.absolute(file.file)) { return }
    switch member.state {
    case .whole(let index, _):
      guard let shard = file.shard else { return }
      try store([shard.encodedRun(at: index)], at: staged(file.file), header: shard.header)
      try publish(file, made: [:])
    case .damaged:
      guard let made = try make(member, of: file) else { return }
      try publish(file, made: [member.seed: made])
    }
  }

  /// Makes again a run of a sealed shard that is damaged.
  func makeSealed(_ member: DamagedFile.Member, of file: DamagedFile) throws(CorpusError) -> RemadeRun? {
    guard try claim(member.seed) else { return nil }
    defer { locks.unlock(member.seed) }
    return try make(member, of: file)
  }

  /// Puts a shard of the whole runs and those that were made again in the place of one that is damaged.
  func mendSealed(_ file: DamagedFile, made: [Int64: RemadeRun]) throws(CorpusError) {
    try cancellation.check()
    guard file.damagedMembers.count == made.count else { return }
    var runs: [(shard: ShardReader, index: Int, seed: Int64)] = []
    for member in file.members {
      if let made = made[member.seed] {
        runs.append((try ShardReader(opening: made.path), 0, member.seed))
      } else if case .whole(let index, _) = member.state, let shard = file.shard {
        runs.append((shard, index, member.seed))
      }
    }
    guard let header = runs.first?.shard.header else { return }
    var writer = try ShardWriter(
      path: staged(file.file), header: header, counts: runs.map { $0.shard.runs[$0.index].count },
      bytes: runs.reduce(0) { sum, run in
        run.shard.runs[run.index].chunks.reduce(sum) { $0 + $1.bytes }
      })
    for run in runs {
      try cancellation.check()
      try writer.append(run.shard.encodedRun(at: run.index))
    }
    try writer.finish(provers: Workers.available)
    try publish(file, made: made)
    for made in made.values { try Files.remove(made.path) }
  }

  /// Gives a staged file its place, and tells the index and the report.
  private func publish(_ file: DamagedFile, made: [Int64: RemadeRun]) throws(CorpusError) {
    let path = directory.absolute(file.file)
    let isUnproven = made.values.contains { $0.proofs.isEmpty }
    var kept: String?
    if file.isKept || isUnproven, Files.exists(path) {
      kept = String(try Files.keep(path, in: directory.damagedPath).dropFirst(directory.path.count + 1))
    }
    try Files.createDirectory(Files.split(path).directory)
    try Files.move(staged(file.file), to: path)
    do throws(CorpusError) {
      try index?.reindex(file.file)
    } catch  where error.code == .conflictingRuns {
      add(error)
    }
    if made.isEmpty, let damage = file.damage {
      let shard = RepairedShard(file: file.file, damage: damage.message)
      result.withLock { $0.shards.append(shard) }
      report(.rewritten(shard))
    }
    for member in file.damagedMembers {
      guard case .damaged(let damage, _) = member.state, let made = made[member.seed] else { continue }
      let run = RepairedRun(
        run: member.seed, file: file.file, damage: damage.message, proofs: made.proofs, kept: kept)
      result.withLock { $0.runs.append(run) }
      report(.repaired(run))
    }
  }

  private func claim(_ seed: Int64) throws(CorpusError) -> Bool {
    if try locks.lock(seed) { return true }
    add(
      CorpusError(
        .resource, "run \(seed) is left as it is: another process is making it",
        remedy: "run the same command again when that has ended"))
    return false
  }

  private func add(_ problem: CorpusError) { result.withLock { $0.problems.append(problem) } }

  // MARK: Staging

  /// Where the successor of a file is made: on its file system, under a name that nobody reads.
  private func staged(_ file: String) -> String {
    let root = CorpusDirectory.isSealed(file) ? directory.shardsPath : directory.runsPath
    return "\(root)/\(Self.folder)/\(Files.split(file).name)"
  }

  private static let folder = ".repair"

  private func store(_ runs: [EncodedRun], at path: String, header: ShardHeader) throws(CorpusError) {
    var writer = try ShardWriter(
      path: path, header: header, counts: runs.map(\.count),
      bytes: runs.reduce(0) { $0 + $1.compressedBytes })
    for run in runs { try writer.append(run) }
    try writer.finish(provers: 1)
  }

  /// The hashes of a staged file's runs, read from the disk and proven.
  private func provenHash(
    of seeds: [Int64], at path: String, header: ShardHeader
  ) throws(CorpusError) -> [ContentHash] {
    let shard = try ShardReader(opening: path)
    guard shard.header == header, shard.runs.map(\.seed) == seeds else {
      throw CorpusError(
        .damagedShard, "\(path) is not what it should be", remedy: "run the same command again")
    }
    try shard.checkChunkTable()
    var decoder = try RunDecoder(header: header)
    for index in shard.runs.indices { _ = try decoder.run(at: index, in: shard) }
    return shard.runs.map(\.contentHash)
  }

  /// Removes what repairs have left.
  static func clear(_ directory: CorpusDirectory) throws(CorpusError) {
    for path in [directory.shardsPath, directory.runsPath].map({ "\($0)/\(folder)" }) {
      for name in try Files.names(in: path) { try Files.remove("\(path)/\(name)") }
      rmdir(path)
    }
  }
}
