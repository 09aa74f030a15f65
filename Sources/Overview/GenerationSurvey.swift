import Platform
public import ShardStore
public import Corpus
public import Foundation
public import Maintenance

/// How far the generation of a corpus in blocks has come, as the names, sizes and times of its files and the claims on
/// its blocks tell it.
///
/// Neither the index nor a lock nor a shard is opened, so that anybody may look at any time, and often. What a sealed
/// shard holds is believed to be the runs from the first to the last of its name, as shards of whole blocks do.
public struct GenerationSurvey: Sendable {
  /// What one machine is doing.
  public struct Node: Hashable, Sendable {
    public let host: String
    /// The blocks that it has claimed.
    public var blocks = 0
    /// Their runs, and how many of them are made.
    public var runs = 0
    public var done = 0
    /// Runs a second, since its blocks were begun.
    public var rate = 0.0
    /// Seconds since it was last heard of.
    public var silence = Double.infinity
    /// How many of its claims are older than their lease, so that others may take the blocks.
    public var lost = 0
  }

  /// Runs in sealed shards and in files of their own; those of `seeds` alone, where these were named.
  public let stored: Int
  /// Runs of claimed blocks that lie on the disks of their makers.
  public let underway: Int
  /// How many there are to be; nil where nobody has said it.
  public let total: Int?
  /// Runs a second, all nodes together; 0 where nothing tells it yet.
  public let rate: Double
  /// In the order of their names.
  public let nodes: [Node]
  /// Machines that did not make the bits of a known run.
  public let failures: [MachineFailure]
  public let sealedShards: Int
  public let singleRuns: Int
  /// Of all shards.
  public let bytes: Int
  /// Of all runs in these shards, whatever `seeds` are.
  private let runsOfShards: Int
  /// What the file system has left for this user.
  public let freeBytes: Int

  public var done: Int { stored + underway }

  /// Seconds until all runs are there, at the present rate; nil where that is unknown.
  public var left: Double? {
    guard let total else { return nil }
    return done >= total ? 0 : rate > 0 ? Double(total - done) / rate : nil
  }

  /// What all shards together will have, at the present size of a run; nil where that is unknown.
  public var bytesAtEnd: Int? {
    guard let total, runsOfShards > 0 else { return nil }
    return Int(Double(bytes) / Double(runsOfShards) * Double(max(total, stored)))
  }

  /// Looks at a corpus.
  ///
  /// - Parameters:
  ///   - seeds: the runs that are to be made, where that is known.
  ///   - now: the present time, from which ages and rates follow.
  public init(
    of directory: CorpusDirectory, seeds: Range<Int64>? = nil, now: Date = Date()
  ) throws(CorpusError) {
    let range = seeds ?? 0..<SeedRange.limit
    func count(_ runs: ClosedRange<Int64>) -> Int { range.clamped(to: Range(runs)).count }

    let shards = try ShardCount(directory, now: now, counting: count)
    var nodes: [String: Node] = [:]
    var underway = 0
    var rate = 0.0
    for note in try ClaimNote.all(of: directory) where !shards.isSealed(note.first) {
      let claim = note.claim
      let age = max(now.timeIntervalSince(note.renewed), 0)
      let pace = Double(claim.done) / max(note.renewed.timeIntervalSince1970 - claim.begun, 1)
      var node = nodes[claim.host] ?? Node(host: claim.host)
      node.blocks += 1
      node.runs += claim.runs
      node.done += claim.done
      node.silence = min(node.silence, age)
      if age > claim.leaseSeconds { node.lost += 1 } else { node.rate += pace }
      nodes[claim.host] = node
      // Of two who make one block, the first alone counts.
      guard age <= claim.leaseSeconds, !note.isBackup else { continue }
      underway += min(claim.done, count(note.first...note.last))
      rate += pace
    }
    self.nodes = nodes.values.sorted { $0.host < $1.host }
    failures = try ClaimNote.failures(of: directory)
    stored = shards.counted
    self.underway = underway
    total = seeds?.count
    self.rate = rate > 0 ? rate : shards.recentRate
    (sealedShards, singleRuns, bytes, runsOfShards) = (
      shards.sealed, shards.single, shards.bytes, shards.runs
    )
    freeBytes = try freeSpace(directory.path)
  }
}

/// What the shards of a corpus add up to.
private struct ShardCount {
  private(set) var sealed = 0
  private(set) var single = 0
  /// All runs, and those that are asked for.
  private(set) var runs = 0
  private(set) var counted = 0
  private(set) var bytes = 0
  /// The runs of the sealed shards, in order; no two of generated blocks overlap.
  private var ranges: [ClosedRange<Int64>] = []
  private var recent = 0
  private var oldest = 0.0

  /// Claims tell how fast the work goes now; where there are none, the shards of the last hour tell it.
  private static let window = 3600.0

  /// - Parameter counting: how many of some runs are asked for.
  init(
    _ directory: CorpusDirectory, now: Date, counting: (ClosedRange<Int64>) -> Int
  ) throws(CorpusError) {
    var single: [(seed: Int64, state: FileTimes)] = []
    for file in try directory.shardFiles() {
      // A compaction may have removed it meanwhile.
      guard let state = FileTimes(directory.absolute(file)) else { continue }
      if let runs = CorpusDirectory.seeds(ofSealedFile: file) {
        ranges.append(runs)
        add(runs.count, state, counting(runs), now)
      } else if let seed = CorpusDirectory.seed(ofRunFile: file) {
        single.append((seed, state))
      }
    }
    sealed = ranges.count
    self.single = single.count
    ranges.sort { $0.lowerBound < $1.lowerBound }
    for (seed, state) in single {
      let isSealed = isSealed(seed)
      add(isSealed ? 0 : 1, state, isSealed ? 0 : counting(seed...seed), now)
    }
  }

  /// Runs a second.
  var recentRate: Double { recent == 0 ? 0 : Double(recent) / max(oldest, 60) }

  func isSealed(_ seed: Int64) -> Bool {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].lowerBound <= seed { low = middle + 1 } else { high = middle }
    }
    return low > 0 && ranges[low - 1].contains(seed)
  }

  private mutating func add(_ runs: Int, _ state: FileTimes, _ counted: Int, _ now: Date) {
    self.runs += runs
    self.counted += counted
    bytes += state.bytes
    let age = now.timeIntervalSince(state.changed)
    guard age < Self.window else { return }
    recent += runs
    oldest = max(oldest, age)
  }
}
