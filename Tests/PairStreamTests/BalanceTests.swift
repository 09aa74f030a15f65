import Corpus
import Foundation
import TestSupport
import Testing

import PairSampling
import PairStream

/// How the metrics of what is drawn are spread.
@Suite(.temporaryDirectories) struct BalanceTests {
  /// 150 runs, which fall fast at first and then hardly, from 1 to near 0; every third one stays above 0.5, and the last
  /// two alone begin at 2.
  private static func curve(run: Int64, step: Int) -> Float {
    let high: Float = run >= 148 ? 2 : 1
    let low: Float = run % 3 == 0 ? 0.5 : 0.01
    return low + (high - low) * exp(-Float(step) * 0.15 - Float(run % 7) * 0.02 * Float(min(step, 1)))
  }

  private static func fixture() throws -> StreamFixture {
    try StreamFixture(runs: 0..<150, checkpoints: 40, curve: curve)
  }

  /// Counts by equal parts of a range.
  private func counts(_ values: [Float], _ range: ClosedRange<Float>, _ parts: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: parts)
    for value in values {
      let part = Int((value - range.lowerBound) / (range.upperBound - range.lowerBound) * Float(parts))
      counts[min(max(part, 0), parts - 1)] += 1
    }
    return counts
  }

  @Test(arguments: PairStreamOptions.Order.allCases, PairStreamOptions.Item.allCases)
  func `are even over the metric, though runs cover different parts of it`(
    order: PairStreamOptions.Order, item: PairStreamOptions.Item
  ) throws {
    let fixture = try Self.fixture()
    // With these there is something in each of the 64 cells.
    let range: ClosedRange<Float> = 0.02...0.92
    func values(_ balance: PairStreamOptions.Balance) throws -> [Float] {
      let stream = try fixture.stream(items: 30_000) {
        ($0.balance, $0.order, $0.item) = (balance, order, item)
        $0.balanceRange = balance == .none ? nil : range
      }
      return try stream.drawn(30_000).map { item == .pairs ? $0.targetMetric : $0.startMetric }
    }
    let balanced = try values(.metric)
    #expect(balanced.allSatisfy { $0 >= range.lowerBound && $0 <= range.upperBound })
    #expect(isEven(counts(balanced, range, 64)))
    // The test can tell: as they come, they are not even.
    #expect(!isEven(counts(try values(.none).filter { range.contains($0) }, range, 64)))
  }

  @Test func `values that few runs have come as often as others, and runs that have a value alike`() throws {
    let fixture = try Self.fixture()
    let pairs = try fixture.stream(items: 30_000) { $0.balance = .metric }.drawn(60_000)
    // Only cells with something in them are drawn: above 1 those of the first steps of the last two runs.
    func cell(_ value: Float) -> Int { Int((value - 0.01) / 1.9901 * 64) }
    let values = (148..<150 as Range<Int64>).flatMap { run in (0..<40).map { Self.curve(run: run, step: $0) }
    }
    let covered = Set(values.filter { $0 > 1.02 }.map(cell))
    let rare = pairs.count { $0.targetMetric > 1.02 }
    let cells = Set(pairs.map { cell($0.targetMetric) })
    #expect(covered.count > 2 && isNear(rare, Double(covered.count) / Double(cells.count), of: pairs.count))
    #expect(Set(pairs.filter { $0.targetMetric > 1.02 }.map(\.run)) == [148, 149])
    // Below 0.4 the 100 runs that go there take turns, in each group of 64 alike.
    let low = pairs.filter { $0.targetMetric < 0.4 && $0.run < 64 }
    let visits = Dictionary(grouping: low, by: \.run).mapValues(\.count)
    #expect(visits.count == 42 && isEven(Array(visits.values)))
  }

  @Test func `are even over the quantiles of the checkpoints`() throws {
    let fixture = try Self.fixture()
    let all = (0..<150).flatMap { run in (0..<40).map { Self.curve(run: Int64(run), step: $0) } }.sorted()
    let knots = (1..<16).map { all[$0 * all.count / 16] }
    func counts(_ balance: PairStreamOptions.Balance) throws -> [Int] {
      let pairs = try fixture.stream(items: 30_000) { $0.balance = balance }.drawn(30_000)
      return pairs.reduce(into: [Int](repeating: 0, count: 16)) { counts, pair in
        counts[knots.count { $0 <= pair.targetMetric }] += 1
      }
    }
    #expect(isEven(try counts(.quantile)))
    #expect(!isEven(try counts(.none)))
    #expect(!isEven(try counts(.metric)))
  }

  @Test func `a value that many checkpoints have keeps its part of the quantiles`() throws {
    let fixture = try StreamFixture(runs: 0..<20, checkpoints: 40) { _, step in step < 10 ? Float(step) : 500
    }
    let pairs = try fixture.stream(items: 30_000) { $0.balance = .quantile }.drawn(30_000)
    #expect(abs(Double(pairs.count { $0.targetMetric == 500 }) / 30_000 - 0.75) < 0.02)
    let even = try fixture.stream(items: 30_000) { $0.balance = .metric }.drawn(30_000)
    // Eleven values in as many of the 64 cells, or fewer.
    #expect(even.count { $0.targetMetric == 500 } < 20_000)
  }

  @Test func `are even over the logarithm`() throws {
    let fixture = try Self.fixture()
    func counts(_ balance: PairStreamOptions.Balance) throws -> [Int] {
      let pairs = try fixture.stream(items: 30_000) {
        ($0.balance, $0.balanceRange) = (balance, 0.0125...0.92)
      }.drawn(
        30_000)
      return self.counts(pairs.map { log($0.targetMetric) }, log(0.0125)...log(0.92), 16)
    }
    #expect(isEven(try counts(.log)))
    #expect(!isEven(try counts(.metric)))
  }

  @Test func `what is no number is never drawn`() throws {
    let fixture = try StreamFixture(runs: 0..<10, checkpoints: 20) { run, step in
      step % 3 == 1 ? (step % 2 == 0 ? .nan : .infinity) : Float(run) + Float(step) / 20
    }
    for balance in [PairStreamOptions.Balance.metric, .quantile] {
      let pairs = try fixture.stream(items: 30_000) { $0.balance = balance }.drawn(10_000)
      #expect(pairs.allSatisfy { $0.target % 3 != 1 } && Set(pairs.map(\.run)).count == 10)
    }
  }

  @Test func `a condition leaves only its checkpoints to balance`() throws {
    let fixture = try Self.fixture()
    for order in PairStreamOptions.Order.allCases {
      let pairs = try fixture.stream(items: 30_000) {
        ($0.balance, $0.condition, $0.order) = (.metric, "step % 2 = 1 AND run <> 3", order)
      }.drawn(20_000)
      #expect(
        pairs.allSatisfy { $0.start % 2 == 1 && $0.target % 2 == 1 && $0.run != 3 && $0.start <= $0.target })
      #expect(pairs.contains { $0.target == 1 } && pairs.contains { $0.target == 39 })
    }
  }

  /// More runs than are looked at when the stream is opened, of which a single one has high values.
  @Test func `bounds and rare values of many runs come from the index`() throws {
    let fixture = try StreamFixture(runs: 0..<700, checkpoints: 4) { run, step in
      Float(step) + Float(run) / 1000 + (run == 333 && step == 3 ? 6 : 0)
    }
    let pairs = try fixture.stream(items: 30_000) { $0.balance = .metric }.drawn(20_000)
    #expect(pairs.count { $0.targetMetric > 9 } > 100)
    #expect(pairs.contains { $0.targetMetric < 0.02 })
    #expect(pairs.allSatisfy { $0.targetMetric < 4 || $0.run == 333 })
  }
}
