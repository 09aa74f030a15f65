import TestSupport
import Corpus
import Foundation
import Testing

import PairSampling
import PairStream

/// Which pairs come, and in which order.
@Suite(.temporaryDirectories) struct SequenceTests {
  @Test(arguments: [PairStreamOptions.Order.random, .sequential])
  func `every run is visited equally often, and pairs are those of the run`(order: PairStreamOptions.Order)
    throws
  {
    let fixture = try StreamFixture()
    let stream = try fixture.stream { $0.order = order }
    #expect(stream.runCount == 8 && stream.itemsPerEpoch == 80 && stream.batchesPerEpoch == 10)
    for _ in 0..<2 {
      let pairs = try stream.restOfEpoch()
      let visits = Dictionary(grouping: pairs, by: \.run).mapValues(\.count)
      #expect(visits.count == 8 && visits.values.allSatisfy { $0 == 10 })
      for pair in pairs {
        #expect(pair.start < pair.target && pair.target < 23)
        #expect(pair.startMetric == -Float(pair.run * 1000 + Int64(pair.start)))
        #expect(pair.targetMetric == -Float(pair.run * 1000 + Int64(pair.target)))
        let stored = StreamFixture.run(pair.run, 23).parameters
        let n = StreamFixture.architecture.parameterCount
        let expected = [pair.start, pair.target].flatMap { stored[(Int($0) * n)..<((Int($0) + 1) * n)] }
        #expect(pair.parameters == expected)
      }
    }
  }

  /// Spacing s uniform in 1..<K, start uniform in 0..<K - s.
  @Test func `spacing and start are drawn as published`() throws {
    let fixture = try StreamFixture(runs: 0..<3, checkpoints: 6)
    let stream = try fixture.stream {
      $0.split = .all
      $0.itemsPerEpoch = 30_000
      $0.batchSize = 30_000
    }
    let pairs = try stream.next().pairs
    for spacing in 1..<6 {
      let ofSpacing = pairs.filter { $0.target - $0.start == spacing }
      expectNear(ofSpacing.count, 6000)
      let starts = 6 - spacing
      for start in 0..<starts {
        expectNear(ofSpacing.count { $0.start == start }, 6000 / Double(starts))
      }
    }
  }

  /// Within five standard deviations of a count that is that of independent draws.
  private func expectNear(_ count: Int, _ expected: Double) {
    let distance = (Double(count) - expected).magnitude
    #expect(distance < 5 * expected.squareRoot())
  }

  @Test(arguments: PairStreamOptions.Augmentation.allCases)
  func `pairs do not depend on how many batches wait`(augmentation: PairStreamOptions.Augmentation) throws {
    let fixture = try StreamFixture()
    func pairs(waiting: Int) throws -> [Pair] {
      let stream = try fixture.stream {
        $0.augmentation = augmentation
        $0.itemsPerEpoch = 10_000
        $0.batchSize = 1_000
        $0.prefetch = waiting
      }
      return try stream.restOfEpoch()
    }
    #expect(try pairs(waiting: 1) == pairs(waiting: 200))
  }

  @Test(arguments: [PairStreamOptions.Order.random, .sequential], [1, 2, 4, 8])
  func `ranks share the sequence of one`(order: PairStreamOptions.Order, worldSize: Int) throws {
    let fixture = try StreamFixture()
    let change = { (options: inout PairStreamOptions) in
      options.order = order
      options.augmentation = .permute
    }
    let whole = try fixture.stream { change(&$0) }.restOfEpoch()
    var ranks: [[Pair]] = []
    for rank in 0..<worldSize {
      let stream = try fixture.stream {
        change(&$0)
        $0.rank = rank
        $0.worldSize = worldSize
        $0.batchSize = 8 / worldSize
        $0.workers = rank + 1
      }
      ranks.append(try stream.restOfEpoch())
    }
    let share = 8 / worldSize
    let joined = (0..<10).flatMap { batch in
      ranks.flatMap { $0[(batch * share)..<((batch + 1) * share)] }
    }
    #expect(joined == whole)
  }

  @Test(arguments: [1, 2, 3, 4])
  func `shares take turns at the batches of a rank`(shares: Int) throws {
    let fixture = try StreamFixture()
    let whole = try fixture.stream { ($0.rank, $0.worldSize, $0.batchSize) = (1, 2, 4) }
    let batches = try (0..<20).map { _ in try whole.next() }
    for share in 0..<shares {
      let stream = try fixture.stream {
        ($0.rank, $0.worldSize, $0.batchSize) = (1, 2, 4)
        ($0.workerIndex, $0.workerCount) = (share, shares)
      }
      let numbers = Array(stride(from: share, to: 10, by: shares))
      #expect(stream.batchesPerEpoch == numbers.count)
      for number in numbers + numbers.map({ $0 + 10 }) {
        let batch = try stream.next()
        #expect(batch.pairs == batches[number].pairs && batch.firstItem == batches[number].firstItem)
      }
      #expect(stream.position == PairStream.Position(epoch: 2, batch: 0))
    }
  }

  @Test(arguments: [PairStreamOptions.Order.random, .sequential])
  func `goes on exactly where any other stream stopped`(order: PairStreamOptions.Order) throws {
    let fixture = try StreamFixture()
    let change = { (options: inout PairStreamOptions) in
      options.order = order
      options.augmentation = .permute
    }
    let undisturbed = try fixture.stream { change(&$0) }
    let batches = try (0..<40).map { _ in try undisturbed.next().pairs }
    #expect(undisturbed.position == PairStream.Position(epoch: 4, batch: 0))
    let stream = try fixture.stream {
      change(&$0)
      $0.workers = 3
    }
    var random = PhiloxGenerator(seed: 3)
    for _ in 0..<20 {
      let number = Int(random.integer(below: 38))
      try stream.seek(PairStream.Position(epoch: number / 10, batch: number % 10))
      #expect(try stream.next().pairs == batches[number])
      #expect(try stream.next().pairs == batches[number + 1])
    }
  }

  @Test func `epochs and seeds differ, workers do not matter`() throws {
    let fixture = try StreamFixture()
    let one = try fixture.stream { $0.workers = 1 }
    let first = try one.restOfEpoch()
    let second = try one.restOfEpoch()
    #expect(first != second)
    #expect(try fixture.stream { $0.workers = 7 }.restOfEpoch() == first)
    #expect(try fixture.stream { $0.seed = 1 }.restOfEpoch() != first)
  }

  @Test func `single checkpoints come likewise`() throws {
    let fixture = try StreamFixture()
    let stream = try fixture.stream { $0.item = .checkpoints }
    let batch = try stream.next()
    #expect(batch.target.isEmpty && batch.start.count == 8 * StreamFixture.architecture.parameterCount)
    let pairs = try batch.pairs + stream.restOfEpoch()
    #expect(pairs.allSatisfy { $0.start == $0.target && $0.startMetric == $0.targetMetric })
    #expect(Set(pairs.map(\.start)).count > 15)
  }

  @Test func `conditions choose runs, or checkpoints`() throws {
    let fixture = try StreamFixture()
    let ofRuns = try fixture.stream { $0.condition = "run IN (2, 5) -- a comment" }
    #expect(try Set(ofRuns.restOfEpoch().map(\.run)) == [2, 5])
    let ofCheckpoints = try fixture.stream { $0.condition = "step % 4 = 1 AND run <> 3" }
    let pairs = try ofCheckpoints.restOfEpoch()
    #expect(pairs.allSatisfy { $0.start % 4 == 1 && $0.target % 4 == 1 && $0.run != 3 })
    #expect(Set(pairs.map(\.target)) == [5, 9, 13, 17, 21])
    let held = try fixture.stream { $0.split = .test }
    #expect(try Set(held.restOfEpoch().map(\.run)) == [8, 9])
  }

  @Test func `batches are an asynchronous sequence, too`() async throws {
    let fixture = try StreamFixture()
    let expected = try fixture.stream().restOfEpoch()
    let stream = try fixture.stream()
    var pairs: [Pair] = []
    for try await batch in try stream.batches(ofEpoch: 0) { pairs += batch.pairs }
    #expect(pairs == expected)
    #expect(stream.position == PairStream.Position(epoch: 1, batch: 0))
  }
}
