import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

import PairStream

@Suite struct StreamBadInputTests {
  private func failure(_ body: () throws -> Void) -> CorpusError? {
    do {
      try body()
      return nil
    } catch {
      return error as? CorpusError
    }
  }

  @Test func `what cannot be is refused with a name and a remedy`() throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    func expect(_ code: CorpusError.Code, _ word: String, _ change: (inout PairStreamOptions) -> Void) {
      let error = failure { _ = try fixture.stream(change) }
      #expect(error?.code == code && "\(error, default: "none")".contains(word))
    }
    expect(.invalidArgument, "test_los") { $0.metric = "test_los" }
    expect(.invalidArgument, "world size is 0") { $0.worldSize = 0 }
    expect(.invalidArgument, "rank is 2") { ($0.rank, $0.worldSize) = (2, 2) }
    expect(.invalidArgument, "share is 2") { ($0.share, $0.shares) = (2, 2) }
    expect(.emptySelection, "share 10") { ($0.share, $0.shares) = (10, 11) }
    expect(.invalidArgument, "batch size is 0") { $0.batchSize = 0 }
    expect(.invalidArgument, "scale") { $0.scale = .factor(.nan) }
    expect(.invalidArgument, "prefetch") { $0.prefetch = 0 }
    expect(.invalidArgument, "workers") { $0.workers = 0 }
    expect(.invalidArgument, "status") { $0.statuses = [] }
    expect(.emptySelection, "run > 100") { $0.condition = "run > 100" }
    expect(.emptySelection, "checkpoints") { $0.condition = "step = 3" }
    expect(.emptySelection, "fewer than the 81") { $0.batchSize = 81 }
    expect(.emptySelection, "of all 11 ranks") { $0.worldSize = 11 }
    expect(.invalidSQL, "no such column") { $0.condition = "colour = 1" }
    expect(.invalidSQL, "SQL") { $0.condition = "1); DELETE FROM runs; --" }
  }

  @Test func `an architecture without hidden layers is not permuted`() throws {
    let folder = TemporaryDirectory()
    let corpus = try CorpusDirectory(
      openingOrCreating: folder.path + "/corpus", manifest: TestCorpus.manifest())
    let error = failure {
      _ = try PairStream(corpus, options: StreamFixture.plain { $0.augmentation = .permute })
    }
    #expect(error?.code == .invalidArgument && "\(error, default: "none")".contains("tiny"))
  }

  @Test func `there is no place outside an epoch`() throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    let stream = try fixture.stream()
    for (epoch, batch) in [(0, 11), (-1, 0), (0, -1), (1 << 28, 0)] {
      let error = failure { try stream.seek(PairStream.Position(epoch: epoch, batch: batch)) }
      #expect(error?.code == .invalidArgument)
    }
  }

  private func damage(_ fixture: StreamFixture, run: Int64) throws {
    for file in try fixture.corpus.shardFiles() {
      let path = fixture.corpus.absolute(file)
      let shard = try ShardReader(opening: path)
      for stored in shard.runs where stored.seed == run {
        var bytes = try Data(contentsOf: URL(filePath: path))
        for chunk in stored.chunks {
          for i in 0..<chunk.bytes { bytes[Int(chunk.offset) + i] ^= 0x55 }
        }
        try bytes.write(to: URL(filePath: path))
      }
    }
  }

  @Test func `a damaged shard ends the stream at the batch that needs it, and is named`() throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    let whole = try fixture.stream().restOfEpoch()
    try damage(fixture, run: 3)
    let stream = try fixture.stream()
    let first = try #require(whole.firstIndex { $0.run == 3 })
    for batch in 0..<(first / 8) {
      #expect(try stream.next().pairs == Array(whole[(batch * 8)..<(batch * 8 + 8)]))
    }
    for _ in 0..<2 {
      let error = failure { _ = try stream.next() }
      #expect(error?.code == .damagedShard && "\(error, default: "none")".contains("shards/"))
    }
  }

  @Test func `a damaged shard may be skipped, and is counted`() throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    let whole = try fixture.stream().restOfEpoch()
    try damage(fixture, run: 3)
    let stream = try fixture.stream { $0.onDamage = .skip }
    let pairs = try stream.restOfEpoch()
    #expect(pairs.count == 80 && pairs.allSatisfy { $0.run != 3 })
    #expect(zip(whole, pairs).allSatisfy { $0.run == 3 || $0 == $1 })
    #expect(stream.statistics.replaced >= 10)
    // The same ones stand in, whoever asks.
    #expect(try fixture.stream { ($0.onDamage, $0.workers) = (.skip, 1) }.restOfEpoch() == pairs)
  }

  @Test func `cancelling ends all waiting`() async throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    let stream = try fixture.stream()
    _ = try stream.next()
    stream.cancel()
    #expect(failure { _ = try stream.next() }?.code == .interrupted)
  }

  @Test func `a consumer that is slow is waited for, and memory is used again`() async throws {
    let fixture = try StreamFixture()
    defer { fixture.keep() }
    let stream = try fixture.stream { $0.prefetch = 2 }
    _ = try stream.next()
    try await Task.sleep(for: .milliseconds(200))
    // The one that was handed out, two ahead, and slices of one more that were on their way.
    #expect(stream.statistics.items <= 8 * 4)
    var places: Set<UnsafePointer<Float>?> = []
    for _ in 0..<50 { places.insert(try stream.next().start.baseAddress) }
    #expect(places.count <= 5)
  }
}
