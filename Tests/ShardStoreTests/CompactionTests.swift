import Platform
import Maintenance
import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct CompactionTests {
  @Test func `seals single runs without touching their chunks`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([7, 2, 30])
    let single = try ShardReader(opening: fixture.corpus.absolute("runs/000/000007.h5")).encodedRun(at: 0)
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.runs == 3 && report.problems.isEmpty)
    #expect(try fixture.corpus.shardFiles() == ["shards/000002-000030.h5"])
    #expect(same(try fixture.read("shards/000002-000030.h5"), [2, 7, 30].map { TestCorpus.run($0) }))
    let sealed = try ShardReader(opening: fixture.corpus.absolute("shards/000002-000030.h5")).encodedRun(
      at: 1)
    #expect(sealed.chunks == single.chunks && sealed.contentHash == single.contentHash)
  }

  @Test func `begins a new shard before one grows too large`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly(0..<6)
    let bytes = try ShardReader(opening: fixture.corpus.absolute("runs/000/000000.h5")).encodedRun(at: 0)
      .compressedBytes
    let report = try Compaction(directory: fixture.corpus, bytesPerShard: bytes * 5 / 2).run { _ in }
    #expect(report.sealedFiles.count >= 3)
    #expect(try report.sealedFiles.flatMap(fixture.read).map(\.seed) == Array(0..<6))
  }

  @Test func `keeps codecs apart`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    try fixture.store([TestCorpus.run(2)], as: "runs/000/000002.h5", codec: .zstd)
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.sealedFiles == ["shards/000000-000001.h5", "shards/000002-000002.h5"])
  }

  @Test func `leaves a damaged run where it is and names it`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1, 2])
    try fixture.write(fixture.bytes("runs/000/000001.h5").dropLast(100), to: "runs/000/000001.h5")
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.runs == 2 && report.problems.count == 1)
    #expect("\(report.problems[0])".contains("runs/000/000001.h5"))
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000002.h5", "runs/000/000001.h5"])
  }

  @Test func `removes single runs only after the sealed one is indexed`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    struct Refusal: Error {}
    #expect(throws: CorpusError.self) {
      _ = try Compaction(directory: fixture.corpus).run { (_) throws(CorpusError) in
        throw CorpusError(.diskFull, "no room", remedy: "make some")
      }
    }
    #expect(
      try fixture.corpus.shardFiles() == [
        "shards/000000-000001.h5", "runs/000/000000.h5", "runs/000/000001.h5",
      ])
    // Once more, and the single files go: the sealed shard is proven, not written again.
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.duplicates == 2 && report.runs == 0)
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000001.h5"])
  }

  @Test func `loses nothing when it is stopped`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly(0..<5)
    let cancellation = Cancellation()
    #expect {
      try Compaction(directory: fixture.corpus).run(
        cancellation: cancellation,
        progress: { stage, done, _ in if stage == .sealing && done == 3 { cancellation.cancel() } }
      ) { _ in }
    } throws: { ($0 as? CorpusError)?.code == .interrupted }
    #expect(try fixture.corpus.shardFiles().count == 5)
    #expect(try Files.names(in: fixture.corpus.shardsPath) == [])
  }

  @Test func `removes what killed jobs left, and not what living ones write`() throws {
    let fixture = try ShardFixture()
    try fixture.write(Data("half".utf8), to: "runs/.000001.h5.tmp")
    try fixture.write(Data("half".utf8), to: "runs/.000002.h5.tmp")
    try fixture.write(Data("half".utf8), to: "shards/.000000-000009.h5.tmp")
    // One whose claim, on a file system without locks, nobody sees.
    let path = TemporaryFile.path(for: fixture.corpus.absolute("runs/000/000003.h5"))
    let unseen = Files.split(path).name
    try fixture.write(Data("half".utf8), to: "runs/\(unseen)")
    let living = try RunLocks(fixture.corpus)
    #expect(try living.lock(2))
    _ = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(try Files.names(in: fixture.corpus.runsPath) == [".000002.h5.tmp", unseen])
    #expect(try Files.names(in: fixture.corpus.shardsPath) == [])
  }

  /// Single files come back from copies; the sealed shard of the same first and last run must stay.
  @Test func `never seals a run twice, nor over another shard`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly(0..<8)
    _ = try Compaction(directory: fixture.corpus).run { _ in }
    try fixture.storeSingly([0, 7, 9])
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.duplicates == 2 && report.sealedFiles == ["shards/000009-000009.h5"])
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000007.h5", "shards/000009-000009.h5"])
    #expect(try fixture.read("shards/000000-000007.h5").map(\.seed) == Array(0..<8))
  }

  @Test func `keeps a single run that differs from the sealed one`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    _ = try Compaction(directory: fixture.corpus).run { _ in }
    try fixture.store([TestCorpus.run(1, checkpoints: 9)], as: "runs/000/000001.h5", checkpoints: 9)
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.problems.map(\.code) == [.conflictingRuns])
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000001.h5", "runs/000/000001.h5"])
  }

  @Test func `leaves a file that is named for another run`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    try fixture.store([TestCorpus.run(1)], as: "runs/000/000002.h5")
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.problems.count == 1 && report.runs == 2)
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000001.h5", "runs/000/000002.h5"])
  }

  @Test func `orders seeds as numbers`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([1_000_001, 999_999, 5])
    _ = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(try fixture.read("shards/000005-1000001.h5").map(\.seed) == [5, 999_999, 1_000_001])
  }

  @Test func `goes on with the others where one shard is damaged`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1, 2])
    try fixture.write(Data("x".utf8), to: "runs/000/000001.h5")
    let report = try Repacking(directory: fixture.corpus, codec: .zstd).run { _ in }
    #expect(report.files.count == 2 && report.problems.count == 1)
    #expect(try CorpusDirectory(opening: fixture.corpus.path).manifest.codec == .zstd)
  }

  @Test func `leaves runs that their maker has not indexed yet`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    let maker = try RunLocks(fixture.corpus)
    #expect(try maker.lock(1))
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.runs == 1 && report.awaited == 1)
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000000.h5", "runs/000/000001.h5"])
  }

  /// Earlier programs stored all single runs in one directory.
  @Test func `seals runs that lie flat, and a second file of a run once the first is sealed`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([1, 2, 3])
    for seed in [0, 2] as [Int64] { try fixture.store([TestCorpus.run(seed)], as: "runs/00000\(seed).h5") }
    try fixture.store([TestCorpus.run(3, checkpoints: 9)], as: "runs/000003.h5", checkpoints: 9)
    let report = try Compaction(directory: fixture.corpus).run { _ in }
    #expect(report.runs == 4 && report.duplicates == 1 && report.problems.map(\.code) == [.conflictingRuns])
    #expect(report.sealedFiles == ["shards/000000-000003.h5"])
    #expect(try fixture.corpus.shardFiles() == ["shards/000000-000003.h5", "runs/000003.h5"])
  }

  @Test func `lets one process compact at a time`() throws {
    let fixture = try ShardFixture()
    let other = try RunLocks(fixture.corpus)
    #expect(try other.lock(RunLocks.compaction))
    #expect(throws: CorpusError.self) { try Compaction(directory: fixture.corpus).run { _ in } }
    #expect(throws: CorpusError.self) { try Repacking(directory: fixture.corpus, codec: .zstd).run { _ in } }
  }

  @Test func `repacks to the same bytes with any number of workers`() throws {
    func repacked(workers: Int) throws -> Data {
      let fixture = try ShardFixture()
      try fixture.store((0..<11).map { TestCorpus.run($0) }, as: "shards/000000-000010.h5")
      let repacking = Repacking(directory: fixture.corpus, codec: .zstd, workers: workers)
      #expect(try repacking.run { _ in }.files.count == 1)
      return try fixture.bytes("shards/000000-000010.h5")
    }
    let first = try repacked(workers: 1)
    // HDF5 would write into its headers in which second they were made.
    Thread.sleep(forTimeInterval: 1.1)
    #expect(try repacked(workers: 3) == first)
  }

  @Test func `repacks there and back to the same hashes`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([0, 1])
    try fixture.store([5, 6, 7].map { TestCorpus.run($0) }, as: "shards/000005-000007.h5")
    func hashes() throws -> [ContentHash] {
      try fixture.corpus.shardFiles().flatMap {
        try ShardReader(opening: fixture.corpus.absolute($0)).runs.map(\.contentHash)
      }
    }
    func codecs() throws -> Set<Codec> {
      Set(
        try fixture.corpus.shardFiles().map {
          try ShardReader(opening: fixture.corpus.absolute($0)).header.codec
        })
    }
    let before = try hashes()
    #expect(try Repacking(directory: fixture.corpus, codec: .delta).run { _ in }.files == [])
    #expect(try Repacking(directory: fixture.corpus, codec: .zstd).run { _ in }.files.count == 3)
    #expect(try hashes() == before && codecs() == [.zstd])
    #expect(same(try fixture.read("runs/000/000001.h5"), [TestCorpus.run(1)]))
    #expect(try Repacking(directory: fixture.corpus, codec: .delta).run { _ in }.files.count == 3)
    #expect(try hashes() == before && codecs() == [.delta])
    #expect(same(try fixture.read("shards/000005-000007.h5"), [5, 6, 7].map { TestCorpus.run($0) }))
  }
}
