import Corpus
import Foundation
import TestSupport
import Testing

import PairSampling
import PairStream

/// Several corpora in one stream, and all ways of drawing in all ways of reading.
@Suite(.temporaryDirectories) struct MixtureTests {
  @Test(arguments: PairStreamOptions.Order.allCases)
  func `corpora have their shares, and each goes through its own runs`(order: PairStreamOptions.Order) throws
  {
    let (one, other) = (try StreamFixture(), try StreamFixture(runs: 100..<130, checkpoints: 9))
    defer {
    }
    let options = StreamFixture.plain {
      ($0.split, $0.batchSize, $0.itemsPerEpoch, $0.order) = (.all, 50, 10_000, order)
    }
    let stream = try PairStream(mixing: [(one.corpus, 0.7), (other.corpus, 0.3)], options: options)
    #expect(stream.runCount == 40 && stream.itemsPerEpoch == 10_000 && stream.directories.count == 2)
    for _ in 0..<2 {
      var (runs, fewest) = ([Int64: Int](), 50)
      for _ in 0..<stream.batchesPerEpoch {
        let batch = try stream.next()
        for (i, pair) in batch.pairs.enumerated() {
          #expect((batch.source[i] == 1) == (pair.run >= 100))
          let stored = StreamFixture.run(pair.run, pair.run >= 100 ? 9 : 23).parameters
          let n = StreamFixture.architecture.parameterCount
          #expect(
            pair.parameters.prefix(n).elementsEqual(stored[(Int(pair.start) * n)..<(Int(pair.start + 1) * n)])
          )
          runs[pair.run, default: 0] += 1
        }
        fewest = min(fewest, batch.source.count { $0 == 1 })
      }
      // Mixed throughout, in exact proportion but for the part of a last block.
      let ofOther = runs.filter { $0.key >= 100 }.values.reduce(0, +)
      #expect(abs(ofOther - 3_000) < 60 && fewest > 3)
      #expect(runs.count == 40 && runs.allSatisfy { abs($0.value - ($0.key >= 100 ? 100 : 700)) < 60 })
    }
  }

  @Test func `a mixture has a common scale and a name of its own`() throws {
    let (one, other) = (try StreamFixture(), try StreamFixture(runs: 100..<130))
    defer {
    }
    let options = StreamFixture.plain { $0.scale = .corpus }
    func stream(_ shares: [WeightedCorpus]) throws -> PairStream {
      try PairStream(mixing: shares, options: options)
    }
    let scales = try [one, other].map { try stream([($0.corpus, 1)]).scale }.sorted()
    let mixed = try stream([(one.corpus, 1), (other.corpus, 1)])
    #expect(mixed.scale >= scales[0] && mixed.scale <= scales[1] && scales[0] < scales[1])
    let names = try [
      mixed, stream([(other.corpus, 1), (one.corpus, 1)]), stream([(one.corpus, 1), (other.corpus, 2)]),
      stream([(one.corpus, 1)]),
    ].map(\.fingerprint)
    #expect(Set(names).count == 4)
  }

  /// Each way of drawing, with more than one of them at a time.
  static let ways: [@Sendable (inout PairStreamOptions) -> Void] = [
    { ($0.balance, $0.initialStarts) = (.metric, 0.3) },
    { ($0.balance, $0.directions, $0.unchanged) = (.quantile, .both, 0.2) },
    { ($0.runWeights, $0.directions) = ("1 + run % 3", .both) },
    { ($0.item, $0.balance, $0.runWeights) = (.checkpoints, .metric, "1 + run % 3") },
    {
      var stage = PairStreamOptions.Stage(firstEpoch: 1)
      (stage.balance, stage.condition, stage.runWeights) = (.metric, "run % 2 = 0 AND step > 2", "run + 1")
      ($0.stages, $0.unchanged) = ([stage], 0.2)
    },
  ]

  @Test(arguments: ways.indices, PairStreamOptions.Order.allCases)
  func `a sequence is the same for all readers`(way: Int, order: PairStreamOptions.Order) throws {
    let one = try StreamFixture(runs: 0..<80)
    let other = try StreamFixture(runs: 100..<110, codec: .raw)
    defer {
    }
    for corpora in [[one], [one, other]] { try expectOneSequence(corpora, way, order) }
  }

  private func expectOneSequence(
    _ corpora: [StreamFixture], _ way: Int, _ order: PairStreamOptions.Order
  ) throws {
    func stream(_ change: (inout PairStreamOptions) -> Void = { _ in }) throws -> PairStream {
      let options = StreamFixture.plain {
        ($0.order, $0.augmentation, $0.itemsPerEpoch, $0.batchSize, $0.split) = (
          order, .permute, 240, 24, .all
        )
        Self.ways[way](&$0)
        change(&$0)
      }
      return try PairStream(mixing: Array(zip(corpora.map(\.corpus), [0.75, 0.25])), options: options)
    }
    let whole = try stream { $0.workers = 1 }
    let batches = try (0..<20).map { _ in try whole.next().pairs }
    #expect(whole.position == PairStream.Position(epoch: 2, batch: 0))
    let cached = try stream { ($0.workers, $0.cache) = (3, .memory(bytes: 1 << 24)) }
    for batch in batches { #expect(try cached.next().pairs == batch) }
    for number in [13, 4, 19, 0] {
      try cached.seek(PairStream.Position(epoch: number / 10, batch: number % 10))
      #expect(try cached.next().pairs == batches[number])
    }
    let ranks = try (0..<2).map { rank in
      try stream { ($0.rank, $0.worldSize, $0.batchSize) = (rank, 2, 12) }
    }
    for batch in batches {
      let parts = try ranks.map { try $0.next().pairs }
      #expect(parts.flatMap { $0 } == batch)
    }
    let shares = try (0..<3).map { share in try stream { ($0.workerIndex, $0.workerCount) = (share, 3) } }
    for number in 0..<10 { #expect(try shares[number % 3].next().pairs == batches[number]) }
    #expect(try stream { $0.seed = 1 }.next().pairs != batches[0])
  }

  @Test func `fingerprints of what is as published are those of before`() throws {
    let fixture = try StreamFixture()
    let plain = try fixture.stream().fingerprint
    #expect(plain == "571477524bdd6eefcc829c79660175ff36c99583d9dc3fe126d84e905da42ae0")
    #expect(try fixture.stream { $0.initialStarts = 0 }.fingerprint == plain)
    let others = try Self.ways.map { try fixture.stream($0).fingerprint }
    #expect(Set(others + [plain]).count == others.count + 1)
  }
}
