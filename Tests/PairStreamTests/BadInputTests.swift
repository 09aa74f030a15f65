import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

import PairSampling
import PairStream

@Suite(.temporaryDirectories) struct StreamBadInputTests {
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
    func expect(_ code: CorpusError.Code, _ word: String, _ change: (inout PairStreamOptions) -> Void) {
      let error = failure { _ = try fixture.stream(change) }
      #expect(error?.code == code && "\(error, default: "none")".contains(word))
    }
    expect(.invalidArgument, "test_los") { $0.metric = "test_los" }
    expect(.invalidArgument, "world size is 0") { $0.worldSize = 0 }
    expect(.invalidArgument, "rank is 2") { ($0.rank, $0.worldSize) = (2, 2) }
    expect(.invalidArgument, "share is 2") { ($0.workerIndex, $0.workerCount) = (2, 2) }
    expect(.emptySelection, "share 10") { ($0.workerIndex, $0.workerCount) = (10, 11) }
    expect(.invalidArgument, "batch size is 0") { $0.batchSize = 0 }
    expect(.invalidArgument, "scale") { $0.scale = .factor(.nan) }
    expect(.invalidArgument, "prefetch") { $0.prefetch = 0 }
    expect(.invalidArgument, "workers") { $0.workers = 0 }
    expect(.invalidArgument, "workers") { $0.workers = 100_000 }
    expect(.invalidArgument, "status") { $0.statuses = [] }
    expect(.emptySelection, "run > 100") { $0.condition = "run > 100" }
    expect(.emptySelection, "checkpoints") { $0.condition = "step = 3" }
    expect(.emptySelection, "fewer than the 81") { $0.batchSize = 81 }
    expect(.emptySelection, "of all 11 ranks") { $0.worldSize = 11 }
    expect(.invalidSQL, "no such column") { $0.condition = "colour = 1" }
    expect(.invalidSQL, "SQL") { $0.condition = "1); DELETE FROM runs; --" }
    // What is an expression only in parentheses of ours, or more than one, would switch off the split.
    for more in [
      "1) OR (1", "1 LIMIT 5", "1 ORDER BY run", "1 UNION SELECT 1", "run < 3 GROUP BY run", "1) -- ", "1 /*",
      "", " -- ",
      "run IN (1", "'", "1; SELECT 1",
    ] {
      expect(.invalidSQL, "SQL") { $0.condition = more }
      var stage = PairStreamOptions.Stage(firstEpoch: 1)
      stage.condition = more
      expect(.invalidSQL, "SQL") { $0.stages = [stage] }
    }
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

  @Test func `draws that cannot be are refused with a name and a remedy`() throws {
    // Nothing between -4000 and -1000 but what is below.
    let fixture = try StreamFixture(runs: 0..<10) { run, step in run < 5 ? -Float(step) : -4_000 - Float(step)
    }
    func expect(_ code: CorpusError.Code, _ words: String, _ change: (inout PairStreamOptions) -> Void) {
      let error = failure { _ = try fixture.stream(change) }
      let text = "\(error, default: "none")"
      #expect(error?.code == code && text.contains(words), "\(words): \(text)")
    }
    expect(.invalidArgument, "no balance") { $0.balanceRange = 0...1 }
    expect(.invalidArgument, "from 1.0 to 1.0") { ($0.balance, $0.balanceRange) = (.metric, 1...1) }
    expect(.invalidArgument, "begins at") { $0.balance = .log }
    expect(.invalidArgument, "the range begins at -3.0") { ($0.balance, $0.balanceRange) = (.log, -3...1) }
    // Which part is empty.
    expect(.invalidArgument, "between 0.0 and 10.0") { ($0.balance, $0.balanceRange) = (.metric, -20...10) }
    expect(.invalidArgument, "between 0.0 and 10.0") { ($0.balance, $0.balanceRange) = (.quantile, -20...10) }
    expect(.invalidArgument, "between -5000.0 and -4022.0") {
      ($0.balance, $0.balanceRange) = (.metric, -5_000...0)
    }
    expect(.invalidArgument, "does not cover") { ($0.balance, $0.balanceRange) = (.metric, -4_022...0) }
    expect(.invalidArgument, "no values from 5.0 to 6.0") { ($0.balance, $0.balanceRange) = (.metric, 5...6) }
    expect(.invalidArgument, "only one value") {
      ($0.balance, $0.condition, $0.item) = (.metric, "train_return = -7", .checkpoints)
    }
    expect(.invalidArgument, "share of initial starts is 1.5") { $0.initialStarts = 1.5 }
    expect(.invalidArgument, "share of unchanged pairs is nan") { $0.unchanged = .nan }
    expect(.invalidArgument, "single checkpoints") { ($0.item, $0.directions) = (.checkpoints, .both) }
    expect(.invalidArgument, "weight of run 0") { $0.runWeights = "run - 1" }
    expect(.invalidArgument, "is NULL") { $0.runWeights = "nullif(run, 3)" }
    expect(.invalidArgument, "is inf") { $0.runWeights = "9e999" }
    expect(.invalidArgument, "the text 'train'") { $0.runWeights = "split" }
    expect(.invalidArgument, "weights of all 8") { $0.runWeights = "0 * run" }
    expect(.invalidSQL, "no such column") { $0.runWeights = "colour" }
    expect(.invalidSQL, "differ among the checkpoints") { $0.runWeights = "train_return" }
    expect(.invalidSQL, "SQL") { $0.runWeights = "1) FROM runs; DELETE FROM runs; --" }
    for more in ["1) + (1", "1 AS run", "1, 2", "1 FROM runs --"] {
      expect(.invalidSQL, "SQL") { $0.runWeights = more }
    }
    expect(.invalidArgument, "follows one") { $0.stages = [.init(firstEpoch: 2), .init(firstEpoch: 2)] }
    expect(.invalidArgument, "begins at epoch -1") { $0.stages = [.init(firstEpoch: -1)] }
    for change in [
      { $0.condition = "run > 100" }, { ($0.balance, $0.balanceRange) = (.metric, 0...1e9) },
      { $0.unchanged = 2 },
      { $0.runWeights = "run - 1" },
    ] as [(inout PairStreamOptions.Stage) -> Void] {
      var stage = PairStreamOptions.Stage(firstEpoch: 3)
      change(&stage)
      #expect(failure { _ = try fixture.stream { $0.stages = [stage] } } != nil)
    }
    // What is left out of the range, and of cells within it, does no harm.
    #expect(
      failure { _ = try fixture.stream { ($0.balance, $0.balanceRange) = (.metric, -20...0.5) } } == nil)
    #expect(failure { _ = try fixture.stream { $0.balance = .metric } } == nil)
  }

  @Test func `corpora that do not fit are not mixed`() throws {
    let one = try StreamFixture()
    let wide = try StreamFixture(name: "another")
    let elsewhere = try StreamFixture(metrics: [.testLoss, .trainLoss])
    func expect(
      _ words: [String], _ shares: [WeightedCorpus], scale: PairStreamOptions.Scale = .factor(1)
    ) {
      let error = failure {
        _ = try PairStream(mixing: shares, options: StreamFixture.plain { $0.scale = scale })
      }
      let text = "\(error, default: "none")"
      #expect(error?.code == .invalidArgument && words.allSatisfy { text.contains($0) })
    }
    expect([one.corpus.path, wide.corpus.path, "another"], [(one.corpus, 1), (wide.corpus, 1)])
    expect(
      [one.corpus.path, elsewhere.corpus.path, "train_return"], [(one.corpus, 1), (elsewhere.corpus, 1)])
    expect(["share", "is 0.0"], [(one.corpus, 1), (one.corpus, 0)])
    expect(["share", "nan"], [(one.corpus, .nan)])
    expect(["too small", one.corpus.path], [(one.corpus, 1), (one.corpus, 1e-9)])
    expect(["0 corpora"], [])
  }

  @Test func `damage is skipped in balanced draws and mixtures, too`() throws {
    let fixture = try StreamFixture()
    let other = try StreamFixture(runs: 100..<110)
    defer {
    }
    try damage(fixture, run: 3)
    let options = StreamFixture.plain { ($0.balance, $0.onDamage, $0.itemsPerEpoch) = (.metric, .skip, 400) }
    let stream = try PairStream(mixing: [(fixture.corpus, 1), (other.corpus, 1)], options: options)
    let pairs = try stream.restOfEpoch()
    #expect(pairs.count == 400 && pairs.allSatisfy { $0.run != 3 } && stream.statistics.replaced > 5)
  }

  @Test func `there is no position outside an epoch`() throws {
    let fixture = try StreamFixture()
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
    let stream = try fixture.stream()
    _ = try stream.next()
    stream.cancel()
    #expect(failure { _ = try stream.next() }?.code == .interrupted)
  }

  @Test func `a consumer that is slow is waited for, and memory is used again`() async throws {
    let fixture = try StreamFixture()
    let stream = try fixture.stream { $0.prefetch = 2 }
    _ = try stream.next()
    try await Task.sleep(for: .milliseconds(200))
    // The one that was handed out, two ahead, and slices of one more that were on their way.
    #expect(stream.statistics.items <= 8 * 4)
    var addresses: Set<UnsafePointer<Float>?> = []
    for _ in 0..<50 { addresses.insert(try stream.next().start.baseAddress) }
    #expect(addresses.count <= 5)
  }
}
