import Corpus
import Foundation
import Glibc
import Platform
import ShardStore

/// Runs that are made, sealed and claimed together: those of one range of seeds.
struct RunBlock: Hashable, Sendable {
  let seeds: Range<Int64>

  /// Cuts a range at the multiples of a block's size, so that jobs of other ranges have the same blocks.
  static func blocks(of seeds: Range<Int64>, size: Int) -> [RunBlock] {
    var blocks: [RunBlock] = []
    var first = seeds.lowerBound
    while first < seeds.upperBound {
      let end = min(seeds.upperBound, (first / Int64(size) + 1) * Int64(size))
      blocks.append(RunBlock(seeds: first..<end))
      first = end
    }
    return blocks
  }
}

/// What the file of a claim says: who makes a block, since when, and how far they are.
public struct BlockClaim: Codable, Hashable, Sendable {
  public static let format = "checkpoint-corpus claim"

  public var format = Self.format
  public var version = 1
  public var host: String
  public var process: Int32
  /// The name of the batch job, such as Slurm's; nil outside one.
  public var job: String?
  /// Tells this claim from any other one of the same block.
  public var nonce: UInt64
  /// Seconds since 1970.
  public var begun: Double
  /// How long after it was last renewed the claim holds.
  public var leaseSeconds: Double
  /// The block's runs that were missing when it was claimed, and how many of them are made.
  public var runs: Int
  public var done: Int

  enum CodingKeys: String, CodingKey {
    case format, version, host, process, job, nonce, begun, runs, done
    case leaseSeconds = "lease_seconds"
  }
}

/// Who makes which block, on file systems whose locks nobody can trust: a claim is a small file that is created
/// exclusively, and renewed while its maker lives.
///
/// Two may come to make one block: when a maker that was taken for dead goes on, or in the moment in which two find the
/// same claim dead. That costs time and nothing else, as their runs are equal to the bit and the second shard is dropped.
struct BlockClaims: Sendable {
  let directory: CorpusDirectory
  private let leaseSeconds: Double
  private let job: String?

  /// What a claim is for: making a block, or making one that somebody else is slow with a second time.
  enum Kind: String, Sendable {
    case claim, backup
  }

  /// A claim that was found.
  struct Found: Sendable {
    let claim: BlockClaim?
    let isDead: Bool
  }

  init(_ directory: CorpusDirectory, leaseSeconds: Double) throws(CorpusError) {
    self.directory = directory
    self.leaseSeconds = leaseSeconds
    let environment = ProcessInfo.processInfo.environment
    job =
      environment["SLURM_ARRAY_JOB_ID"].map { "\($0)_\(environment["SLURM_ARRAY_TASK_ID"] ?? "")" }
      ?? environment["SLURM_JOB_ID"] ?? environment["JOB_COMPLETION_INDEX"]
    try Files.createDirectory(directory.claimsPath)
    try TemporaryFile.removeLeftovers(in: directory.claimsPath) { _ in true }
  }

  private func path(_ block: RunBlock, _ kind: Kind) -> String {
    directory.claimPath(block.seeds, kind.rawValue)
  }

  /// Claims a block; nil where somebody has it who may be alive.
  ///
  /// - Parameter runs: how many of it are missing.
  func take(_ block: RunBlock, runs: Int, as kind: Kind) throws(CorpusError) -> OwnClaim? {
    let path = path(block, kind)
    if let found = try find(block, as: kind, now: now()) {
      guard found.isDead else { return nil }
      try remove(path, judged: found.claim)
    }
    let claim = BlockClaim(
      host: TemporaryFile.host, process: getpid(), job: job, nonce: .random(in: 0...UInt64(1 << 53)),
      begun: Date().timeIntervalSince1970, leaseSeconds: leaseSeconds, runs: runs, done: 0)
    do throws(CorpusError) {
      try Files.write(CanonicalJSON.data(claim, pretty: true), to: path, replacing: false)
    } catch  where error.code == .alreadyExists {
      return nil
    }
    return OwnClaim(claim, path: path)
  }

  /// How long makers wait before they renew their claims, and before they look at those of others again, in seconds.
  var renewalPause: Duration { .seconds(min(15, max(0.5, leaseSeconds / 6))) }

  /// The blocks that have a claim, dead or alive.
  func claimed(_ kind: Kind = .claim) throws(CorpusError) -> Set<RunBlock> {
    Set(
      try Files.names(in: directory.claimsPath).compactMap { name in
        guard name.hasSuffix(".\(kind)") else { return nil }
        let ends = name.dropLast(kind.rawValue.count + 1).split(separator: "-").compactMap { Int64($0) }
        guard ends.count == 2, ends[0] >= 0, ends[0] <= ends[1], ends[1] < SeedRange.limit else { return nil }
        return RunBlock(seeds: ends[0]..<(ends[1] + 1))
      })
  }

  /// Removes the claims of sealed blocks, also of slow makers, which so learn that they may stop.
  func removeClaims(where isSealed: (RunBlock) -> Bool) throws(CorpusError) {
    for kind in [Kind.claim, .backup] {
      for block in try claimed(kind) where isSealed(block) { unlink(path(block, kind)) }
    }
  }

  /// The claim of a block; nil where it has none.
  ///
  /// - Parameter now: as ``now()`` gives it.
  func find(_ block: RunBlock, as kind: Kind = .claim, now: Double) throws(CorpusError) -> Found? {
    let path = path(block, kind)
    var information = stat()
    guard stat(path, &information) == 0 else {
      if errno == ENOENT { return nil }
      throw Files.error("read", path)
    }
    let claim = BlockClaim(path)
    // One of this machine needs no patience.
    let isGone =
      claim.map { $0.host == TemporaryFile.host && kill($0.process, 0) != 0 && errno == ESRCH } ?? false
    let age = now - Self.seconds(information.st_mtim)
    return Found(claim: claim, isDead: isGone || age > (claim?.leaseSeconds ?? leaseSeconds))
  }

  /// Takes a dead claim away. Only one of all who find it dead succeeds, and none takes away what another one has put in
  /// its place for longer than a moment.
  private func remove(_ path: String, judged dead: BlockClaim?) throws(CorpusError) {
    let aside = TemporaryFile.path(for: path)
    guard rename(path, aside) == 0 else {
      if errno == ENOENT { return }
      throw Files.error("write", path)
    }
    if let moved = BlockClaim(aside), moved.nonce != dead?.nonce { link(aside, path) }
    unlink(aside)
  }

  /// The time by the clock that gives files their times, which may be another machine's, in seconds since 1970.
  func now() throws(CorpusError) -> Double {
    let path = TemporaryFile.path(for: "\(directory.claimsPath)/clock")
    let file = try Descriptor(opening: path, O_WRONLY | O_CREAT | O_EXCL)
    defer { unlink(path) }
    try file.writeAll(Data([0]))
    var information = stat()
    guard fstat(file.fd, &information) == 0 else { throw Files.error("read", path) }
    return Self.seconds(information.st_mtim)
  }

  private static func seconds(_ time: timespec) -> Double {
    Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// Leaves a note that this machine is not to be trusted, for `corpus status` and for people.
  func note(_ failure: CorpusError) {
    let note = MachineFailure(
      host: TemporaryFile.host, job: job, at: Date().timeIntervalSince1970, reason: failure.message)
    try? Files.write(
      CanonicalJSON.data(note, pretty: true), to: "\(directory.claimsPath)/\(TemporaryFile.host).failed")
  }

  /// Takes back the note of a machine that has passed its test.
  func withdrawNote() {
    unlink("\(directory.claimsPath)/\(TemporaryFile.host).failed")
  }
}

/// Why a machine makes no runs any more.
public struct MachineFailure: Codable, Hashable, Sendable {
  public var host: String
  public var job: String?
  /// Seconds since 1970.
  public var at: Double
  public var reason: String
}

extension BlockClaim {
  /// How long its maker will take for what is left, if it goes on as until now.
  func secondsLeft(at now: Double) -> Double {
    let seconds = max(0, now - begun)
    return seconds / (Double(done) + 0.5) * (Double(runs) - Double(done))
  }

  /// Reads a claim; nil for one that is being written, or that no program of this kind wrote.
  public init?(_ path: String) {
    guard let data = try? Files.contents(path, limit: 1 << 16),
      let claim = try? CanonicalJSON.decode(BlockClaim.self, from: data), claim.format == Self.format
    else { return nil }
    self = claim
  }
}

/// A claim of this process.
final class OwnClaim: Sendable {
  private let claim: BlockClaim
  private let path: String

  init(_ claim: BlockClaim, path: String) {
    self.claim = claim
    self.path = path
  }

  /// Renews the claim, and says how many of its runs are made.
  ///
  /// - Returns: whether it is still ours.
  func renew(done: Int) throws(CorpusError) -> Bool {
    guard BlockClaim(path)?.nonce == claim.nonce else { return false }
    var renewed = claim
    renewed.done = done
    // In place: it must not come back once it was taken away.
    let file: Descriptor
    do throws(CorpusError) {
      file = try Descriptor(opening: path, O_WRONLY)
    } catch {
      if errno == ENOENT { return false }
      throw error
    }
    let bytes = [UInt8](try CanonicalJSON.data(renewed, pretty: true))
    try file.write(bytes, at: 0)
    ftruncate(file.fd, bytes.count)
    return true
  }

  /// Gives the block up, or says that it is sealed.
  func release() {
    if BlockClaim(path)?.nonce == claim.nonce { unlink(path) }
  }
}
