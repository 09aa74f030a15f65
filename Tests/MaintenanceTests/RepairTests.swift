import TestSupport
import Platform
import Maintenance
import Corpus
import Foundation
import MetricIndex
import ShardStore
import Testing

@Suite(.temporaryDirectories) struct RepairTests {
  @Test func `finds nothing wrong where nothing is`() throws {
    let fixture = try RepairFixture()
    let made = Counter()
    let report = try fixture.repair(made: made)
    #expect(report.runs == [] && report.shards == [] && report.problems == [] && report.index == nil)
    #expect(try made.value == 0 && fixture.isWhole())
  }

  @Test(arguments: ["empty", "garbage", "truncated", "flipped", "lost"], [true, false])
  func `makes a single run again`(harm: String, isIndexed: Bool) throws {
    let fixture = try RepairFixture()
    let file = "runs/000/000004.h5"
    switch harm {
    case "empty": try fixture.write(Data(), to: file)
    case "garbage": try fixture.write(Data("nothing like HDF5".utf8), to: file)
    case "truncated": try fixture.write(fixture.bytes(file).prefix(5000), to: file)
    case "flipped": try fixture.flip(run: 4, in: file)
    default: try fixture.remove(file)
    }
    if !isIndexed { try fixture.remove("index.sqlite") }
    let made = Counter()
    let report = try fixture.repair(made: made)
    #expect(report.problems == [])
    guard isIndexed || harm != "lost" else {
      // Nobody knows of it.
      #expect(try report.runs == [] && fixture.problems() == [])
      return
    }
    #expect(made.value == 1 && report.runs.count == 1)
    let run = report.runs[0]
    #expect(run.run == 4 && run.file == file && run.damage.contains(file))
    let proofs: [RepairedRun.Proof] = (harm == "flipped" ? [.shard] : []) + (isIndexed ? [.index] : [])
    #expect(run.proofs == proofs)
    // Only what nothing proves is kept.
    #expect(run.kept == (proofs.isEmpty ? "damaged/000004.h5" : nil))
    #expect(try fixture.isWhole(keeping: proofs.isEmpty ? ["000004.h5"] : []))
  }

  @Test(arguments: ["one run", "unreadable", "lost"], [true, false])
  func `makes a sealed shard again`(harm: String, isIndexed: Bool) throws {
    let fixture = try RepairFixture()
    let file = RepairFixture.shard
    let before = try ShardReader(opening: fixture.corpus.absolute(file)).encodedRun(at: 3)
    switch harm {
    case "one run": try fixture.flip(run: 2, in: file)
    case "unreadable": try fixture.write(fixture.bytes(file).prefix(30_000), to: file)
    default: try fixture.remove(file)
    }
    if !isIndexed { try fixture.remove("index.sqlite") }
    let made = Counter()
    let report = try fixture.repair(workers: 2, made: made)
    #expect(report.problems == [])
    switch harm {
    case "one run":
      #expect(made.value == 1 && report.runs.map(\.run) == [2])
      #expect(report.runs[0].proofs == (isIndexed ? [.shard, .index] : [.shard]))
      // The others' chunks are copied as they are.
      let after = try ShardReader(opening: fixture.corpus.absolute(file)).encodedRun(at: 3)
      #expect(after.chunks == before.chunks)
      #expect(try fixture.isWhole())
    case "unreadable":
      // Without an index, the name of the shard tells which runs it held.
      #expect(made.value == 4 && report.runs.map(\.run).sorted() == [0, 1, 2, 3])
      #expect(report.runs.allSatisfy { $0.file == file && $0.proofs == (isIndexed ? [.index] : []) })
      #expect(try fixture.isWhole(keeping: isIndexed ? [] : ["000000-000003.h5"]))
    default:
      // They come back as single runs.
      #expect(report.runs.map(\.file).sorted() == (isIndexed ? (0..<4).map { "runs/000/00000\($0).h5" } : []))
      #expect(try isIndexed ? fixture.isWhole() : fixture.problems().isEmpty)
    }
  }

  /// CORPUS_BIT_FLIPS=10000 for a long night.
  private static let flips =
    ProcessInfo.processInfo.environment["CORPUS_BIT_FLIPS"].flatMap(Int.init) ?? 25

  /// Wherever a bit flips, in whatever a shard is made of, the corpus comes out as it was.
  @Test(arguments: [RepairFixture.shard, "runs/000/000005.h5"], [true, false])
  func `heals every flipped bit`(file: String, isIndexed: Bool) throws {
    let fixture = try RepairFixture()
    let original = try fixture.bytes(file)
    let index = try fixture.bytes("index.sqlite")
    let name = String(try #require(file.split(separator: "/").last))
    var random = PhiloxGenerator(seed: isIndexed ? 5 : 6)
    var repaired = 0
    for _ in 0..<Self.flips {
      var bytes = original
      // Half of them in what is not compressed, which is small and interesting.
      let bits = UInt32(8 * bytes.count)
      let bit = Int(
        random.uniform() < 0.5 ? random.integer(below: bits) : bits - 1 - random.integer(below: bits / 8))
      bytes[bit / 8] ^= 1 << (bit % 8)
      try fixture.write(bytes, to: file)
      if isIndexed {
        try fixture.write(index, to: "index.sqlite")
      } else {
        try? fixture.remove("index.sqlite")
      }
      try? FileManager.default.removeItem(atPath: fixture.corpus.damagedPath)
      let report = try fixture.repair()
      let kept = report.runs.contains { $0.kept != nil } ? [name] : []
      #expect(try report.problems == [] && fixture.isWhole(keeping: kept), "bit \(bit): \(report)")
      #expect(kept == [] || report.runs.contains { $0.proofs.isEmpty } || !file.hasPrefix("shards"))
      repaired += report.runs.isEmpty && report.shards.isEmpty ? 0 : 1
      try fixture.write(original, to: file)
    }
    #expect(repaired > Self.flips / 3)
  }

  @Test(arguments: [true, false]) func `does not believe an index that says other metrics`(isDamaged: Bool)
    throws
  {
    let fixture = try RepairFixture()
    if isDamaged { try fixture.flip(run: 4, in: "runs/000/000004.h5") }
    let sqlite = Process()
    sqlite.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sqlite.arguments = [
      "sqlite3", fixture.corpus.indexPath, "UPDATE checkpoints SET train_return = 0 WHERE run IN (2, 4)",
    ]
    try sqlite.run()
    sqlite.waitUntilExit()
    try #require(sqlite.terminationStatus == 0)
    let report = try fixture.repair()
    #expect(report.runs.map(\.proofs) == (isDamaged ? [[.shard, .index]] : []))
    #expect(report.index?.message.contains("run 2") == true)
    #expect(try fixture.isWhole())
  }

  @Test func `makes an index anew that disagrees with the shards`() throws {
    let fixture = try RepairFixture()
    try fixture.write(Data("no SQLite at all, but long enough for a header".utf8), to: "index.sqlite")
    let report = try fixture.repair()
    #expect(report.index?.code == .indexCorrupt && report.problems == [])
    #expect(try fixture.isWhole())
  }

  @Test func `keeps what lies under another run's name`() throws {
    let fixture = try RepairFixture()
    try fixture.write(fixture.bytes("runs/000/000005.h5"), to: "runs/000/000004.h5")
    let report = try fixture.repair()
    #expect(report.problems == [] && report.runs.map(\.run) == [4])
    #expect(report.runs[0].proofs == [.index] && report.runs[0].kept == "damaged/000004.h5")
    #expect(try fixture.isWhole(keeping: ["000004.h5"]))
    // And never overwrites what it has kept.
    try fixture.write(fixture.bytes("runs/000/000005.h5"), to: "runs/000/000004.h5")
    #expect(try fixture.repair().runs.map(\.kept) == ["damaged/000004.h5.2"])
    #expect(try fixture.isWhole(keeping: ["000004.h5", "000004.h5.2"]))
  }

  @Test func `puts another corpus's shard aside where it took a place`() throws {
    let fixture = try RepairFixture()
    let other = try RepairFixture(taskName: "chess")
    try fixture.write(other.bytes(RepairFixture.shard), to: RepairFixture.shard)
    try fixture.write(other.bytes(RepairFixture.shard), to: "shards/000007-000009.h5")
    let report = try fixture.repair()
    #expect(
      report.runs.map(\.run).sorted() == [0, 1, 2, 3] && report.runs.allSatisfy { $0.proofs == [.index] })
    // What nobody misses is not ours to move.
    #expect(report.problems.map(\.code) == [.foreignShard])
    #expect(report.problems[0].message.contains("000007-000009.h5"))
    try fixture.remove("shards/000007-000009.h5")
    #expect(try fixture.isWhole(keeping: ["000000-000003.h5"]))
  }

  @Test func `leaves a run that comes out otherwise than recorded`() throws {
    let fixture = try RepairFixture()
    try fixture.forge(4)
    try fixture.flip(run: 4, in: "runs/000/000004.h5")
    try fixture.flip(run: 1, in: RepairFixture.shard)
    let damaged = try fixture.bytes("runs/000/000004.h5")
    let report = try fixture.repair()
    #expect(report.runs.map(\.run) == [1])
    #expect(report.problems.map(\.code) == [.differentRun])
    #expect(
      report.problems[0].message.contains("run 4") && report.problems[0].message.contains("comes out as"))
    #expect(try fixture.bytes("runs/000/000004.h5") == damaged)
  }

  @Test func `says that an imported corpus cannot be repaired, and leaves it alone`() throws {
    let fixture = try RepairFixture(taskName: "imported")
    #expect(try fixture.repair().problems == [], "there is nothing to make again")
    try fixture.remove("runs/000/000005.h5")
    try fixture.flip(run: 2, in: RepairFixture.shard)
    let damaged = try fixture.bytes(RepairFixture.shard)
    let report = try fixture.repair()
    #expect(report.problems.map(\.code) == [.damagedShard, .damagedShard, .cannotReplay])
    #expect(report.problems[2].message.contains("imported"))
    #expect(try report.runs == [] && fixture.bytes(RepairFixture.shard) == damaged)
    // The index still knows what was lost.
    let indexed = try IndexReader(opening: fixture.corpus, allowStale: true).indexedRuns()
    #expect(indexed[5]?.file == "runs/000/000005.h5" && indexed[5]?.contentHash == fixture.hashes[5])
  }

  @Test func `goes on where it was stopped`() throws {
    let fixture = try RepairFixture()
    try fixture.write(Data("garbage".utf8), to: RepairFixture.shard)
    try fixture.remove("runs/000/000004.h5")
    let cancellation = Cancellation()
    let made = Counter()
    let error = #expect(throws: CorpusError.self) {
      try fixture.repair(cancellation: cancellation, made: made) { event in
        if case .made(3, _) = event { cancellation.cancel() }
      }
    }
    #expect(error?.code == .interrupted && made.value == 3)
    #expect(fixture.exists("runs/000/000004.h5"))
    #expect(try fixture.bytes(RepairFixture.shard) == Data("garbage".utf8), "kept until all are made")
    let report = try fixture.repair(made: made)
    #expect(made.value == 5 && report.runs.map(\.run).sorted() == [0, 1, 2, 3])
    #expect(try fixture.isWhole())
  }

  @Test func `does not believe what an earlier repair left behind`() throws {
    let fixture = try RepairFixture()
    try fixture.remove("runs/000/000004.h5")
    try FileManager.default.createDirectory(
      at: fixture.path("runs/.repair"), withIntermediateDirectories: true)
    try fixture.write(fixture.bytes("runs/000/000005.h5").prefix(9000), to: "runs/.repair/000004.h5")
    try fixture.write(Data("rest".utf8), to: "runs/.repair/.000004.h5.tmp")
    let made = Counter()
    #expect(try fixture.repair(made: made).runs.map(\.proofs) == [[.index]])
    #expect(try made.value == 1 && fixture.isWhole())
  }

  @Test func `respects the locks of other processes`() throws {
    let fixture = try RepairFixture()
    let locks = try RunLocks(fixture.corpus)
    try fixture.remove("runs/000/000004.h5")
    try fixture.flip(run: 2, in: RepairFixture.shard)
    for seed in [2, 4] as [Int64] { #expect(try locks.lock(seed)) }
    let report = try fixture.repair()
    #expect(report.problems.map(\.code) == [.resource, .resource] && report.runs == [])
    for seed in [2, 4] as [Int64] { locks.unlock(seed) }
    #expect(try locks.lock(RunLocks.compaction))
    let error = #expect(throws: CorpusError.self) { try fixture.repair() }
    #expect(error?.code == .resource)
    locks.unlock(RunLocks.compaction)
    #expect(try fixture.repair().runs.map(\.run).sorted() == [2, 4])
    #expect(try fixture.isWhole())
  }
}
