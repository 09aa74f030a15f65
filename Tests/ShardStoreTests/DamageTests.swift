import Maintenance
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct DamageTests {
  /// How many random bits to flip; CORPUS_BIT_FLIPS=100000 for a long night.
  private static let flips =
    ProcessInfo.processInfo.environment["CORPUS_BIT_FLIPS"].flatMap(Int.init) ?? 1_000

  private func problems(_ file: String, in fixture: ShardFixture) throws -> [CorpusError] {
    try ShardVerification(checking: file, in: fixture.corpus).problems
  }

  /// Every flip is found, or it lies where nothing is stored: then all runs read as before.
  @Test(arguments: Codec.allCases)
  func `finds every flipped bit of a checkpoint or metric`(codec: Codec) throws {
    let fixture = try ShardFixture()
    let runs = [TestCorpus.run(0, checkpoints: 40), TestCorpus.run(1, checkpoints: 40)]
    try fixture.store(runs, as: "shards/000000-000009.h5", codec: codec, checkpoints: 40)
    let original = try fixture.bytes("shards/000000-000009.h5")
    var random = PhiloxGenerator(seed: 4)
    var found = 0
    for _ in 0..<Self.flips {
      var bytes = original
      let bit = random.integer(below: UInt32(8 * bytes.count))
      bytes[Int(bit / 8)] ^= 1 << (bit % 8)
      try fixture.write(bytes, to: "shards/000000-000009.h5")
      if try problems("shards/000000-000009.h5", in: fixture).isEmpty {
        #expect(same(try fixture.read("shards/000000-000009.h5"), runs), "bit \(bit)")
      } else {
        found += 1
      }
    }
    // Were the check blind, the test would still pass on files that read as before.
    #expect(found > Self.flips / 4)
  }

  @Test func `finds every truncation`() throws {
    let fixture = try ShardFixture()
    try fixture.store([TestCorpus.run(0)], as: "shards/000000-000009.h5")
    let original = try fixture.bytes("shards/000000-000009.h5")
    for length in stride(from: 0, to: original.count, by: 37) {
      try fixture.write(original.prefix(length), to: "shards/000000-000009.h5")
      #expect(try !problems("shards/000000-000009.h5", in: fixture).isEmpty, "\(length) bytes")
    }
  }

  @Test(arguments: ["", "hello", "\u{89}HDF\r\n\u{1A}\n", String(repeating: "x", count: 100_000)])
  func `names a file that is no shard`(text: String) throws {
    let fixture = try ShardFixture()
    try fixture.write(Data(text.utf8), to: "runs/000/000003.h5")
    let problem = try #require(try problems("runs/000/000003.h5", in: fixture).first)
    #expect(problem.message.contains("runs/000/000003.h5") && problem.code == .damagedShard)
  }

  @Test func `never crashes on garbage behind a good beginning`() throws {
    let fixture = try ShardFixture()
    try fixture.store([TestCorpus.run(0)], as: "shards/000000-000009.h5")
    let original = try fixture.bytes("shards/000000-000009.h5")
    var random = PhiloxGenerator(seed: 9)
    for _ in 0..<300 {
      var bytes = original
      let start = Int(random.integer(below: UInt32(bytes.count)))
      let length = min(Int(random.integer(below: 64)), bytes.count - start)
      for i in start..<(start + length) { bytes[i] = UInt8(truncatingIfNeeded: random.nextWord()) }
      try fixture.write(bytes, to: "shards/000000-000009.h5")
      _ = try problems("shards/000000-000009.h5", in: fixture)
    }
  }

  @Test func `finds a run under another run's name`() throws {
    let fixture = try ShardFixture()
    try fixture.store([TestCorpus.run(4)], as: "runs/000/000005.h5")
    #expect(try problems("runs/000/000005.h5", in: fixture).count == 1)
    try fixture.store([TestCorpus.run(4)], as: "runs/000/000004.h5")
    #expect(try problems("runs/000/000004.h5", in: fixture).isEmpty)
  }
}
