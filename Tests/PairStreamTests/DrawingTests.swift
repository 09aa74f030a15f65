import Corpus
import Foundation
import TestSupport
import Testing

import PairSampling
import PairStream

/// Starts, directions, pairs that want no change, weights of runs, stages and mixtures.
@Suite(.temporaryDirectories) struct DrawingTests {
  @Test(arguments: [0, 0.25, 1], PairStreamOptions.Balance.allCases.filter { $0 != .log })
  func `a share of starts is the first checkpoint that may occur`(
    share: Double, balance: PairStreamOptions.Balance
  ) throws {
    let fixture = try StreamFixture()
    func first(_ share: Double) throws -> Double {
      let pairs = try fixture.stream(items: 20_000) {
        ($0.initialStarts, $0.balance, $0.condition) = (share, balance, "step >= 3")
      }.drawn(20_000)
      #expect(pairs.allSatisfy { $0.start >= 3 && $0.start <= $0.target })
      return Double(pairs.count { $0.start == 3 }) / 20_000
    }
    let (found, byChance) = (try first(share), try first(0))
    #expect(byChance < 0.3 && abs(found - (share + (1 - share) * byChance)) < 0.02)
  }

  @Test func `targets of initial starts are all later checkpoints alike`() throws {
    let fixture = try StreamFixture()
    let pairs = try fixture.stream(items: 20_000) { $0.initialStarts = 1 }.drawn(20_000)
    #expect(isEven((1..<23).map { step in pairs.count { $0.target == step } }))
  }

  @Test func `both directions come alike`() throws {
    let fixture = try StreamFixture(checkpoints: 6)
    let pairs = try fixture.stream(items: 20_000) { $0.directions = .both }.drawn(20_000)
    #expect(isNear(pairs.count { $0.start > $0.target }, 0.5, of: 20_000))
    // Spacings as published.
    #expect(isEven((1..<6).map { spacing in pairs.count { abs($0.start - $0.target) == spacing } }))
    let balanced = try fixture.stream(items: 20_000) { ($0.directions, $0.balance) = (.both, .quantile) }
      .drawn(20_000)
    for target in 0..<6 as Range<Int32> {
      let starts = balanced.filter { $0.target == target }
      #expect(isEven((0..<6).filter { $0 != target }.map { start in starts.count { $0.start == start } }))
    }
  }

  @Test func `before a balanced target any checkpoint may be the start, and before the first one itself`()
    throws
  {
    let fixture = try StreamFixture(checkpoints: 6)
    let pairs = try fixture.stream(items: 20_000) { $0.balance = .quantile }.drawn(20_000)
    for target in 0..<6 as Range<Int32> {
      let starts = pairs.filter { $0.target == target }
      #expect(starts.count > 1_000)
      if target > 1 { #expect(isEven((0..<target).map { start in starts.count { $0.start == start } })) }
      #expect(starts.allSatisfy { $0.start < target || target == 0 && $0.start == 0 })
    }
  }

  @Test(arguments: PairStreamOptions.Balance.allCases.filter { $0 != .log })
  func `a share of pairs wants no change`(balance: PairStreamOptions.Balance) throws {
    let fixture = try StreamFixture()
    let pairs = try fixture.stream(items: 20_000) { ($0.unchanged, $0.balance) = (1, balance) }.drawn(20_000)
    let steps = pairs.filter { (1...21).contains($0.start) }.map { $0.target - $0.start }
    #expect(steps.count > 10_000 && isEven([-1, 0, 1].map { step in steps.count { $0 == step } }))
    let ends =
      pairs.filter { $0.start == 0 }.map(\.target) + pairs.filter { $0.start == 22 }.map { 22 - $0.target }
    #expect(isEven([0, 1].map { step in ends.count { $0 == step } }) && ends.allSatisfy { $0 <= 1 })
    if balance == .none { #expect(isEven((0..<23).map { start in pairs.count { $0.start == start } })) }
    // A part of them, and only that.
    func near(_ unchanged: Double) throws -> Double {
      let some = try fixture.stream(items: 20_000) { ($0.unchanged, $0.balance) = (unchanged, balance) }
        .drawn(20_000)
      return Double(some.count { abs($0.target - $0.start) <= 1 }) / 20_000
    }
    let byChance = try near(0)
    let found = try near(0.4)
    #expect(abs(found - (0.4 + 0.6 * byChance)) < 0.02)
  }

  @Test(arguments: PairStreamOptions.Order.allCases)
  func `runs are visited in proportion to their weights`(order: PairStreamOptions.Order) throws {
    let fixture = try StreamFixture()
    for (expression, weight) in [
      ("run", { Double($0) }), ("1.5 -- all alike", { _ in 1.5 }),
      ("max(train_return) < -3000", { $0 > 3 ? 1 : 0 }),
      ("coalesce(nullif(run, 4) / 4.0, 0)", { $0 == 4 ? 0 : Double($0) / 4 }),
    ] as [(String, (Int64) -> Double)] {
      let stream = try fixture.stream(items: 20_000) {
        ($0.runWeights, $0.order) = (expression, order)
        // Of which any number of runs up to ten has its part, and batches, too.
        ($0.itemsPerEpoch, $0.batchSize) = (20_160, 1_008)
      }
      let total = (0..<10).reduce(0) { $0 + weight($1) }
      #expect(stream.runCount == (0..<10).count { weight($0) > 0 })
      for _ in 0..<2 {
        let visits = Dictionary(grouping: try stream.drawn(stream.itemsPerEpoch), by: \.run).mapValues(
          \.count)
        for run in 0..<10 as Range<Int64> {
          let expected = Double(stream.itemsPerEpoch) * weight(run) / total
          #expect(
            abs(Double(visits[run] ?? 0) - expected) <= 1
              && (expected > 0 || visits[run] == nil))
        }
      }
    }
  }

  @Test func `balanced draws among neighbours obey the weights`() throws {
    // Half of the runs never reach the high values.
    let fixture = try StreamFixture(runs: 0..<40) { run, step in Float(step) * (run % 2 == 0 ? 0.4 : 1) }
    let pairs = try fixture.stream(items: 20_000) {
      ($0.runWeights, $0.balance) = ("1 + (run < 20) * 3", .metric)
    }.drawn(
      20_000)
    let high = pairs.filter { $0.targetMetric > 10 }
    #expect(high.allSatisfy { $0.run % 2 == 1 })
    #expect(isNear(high.count { $0.run < 20 }, 0.8, of: high.count))
  }

  @Test func `stages begin with their epochs`() throws {
    let fixture = try StreamFixture()
    let stream = try fixture.stream(items: 20_000) {
      $0.itemsPerEpoch = 1_000
      var (second, third) = (PairStreamOptions.Stage(firstEpoch: 1), PairStreamOptions.Stage(firstEpoch: 3))
      (second.initialStarts, second.condition) = (1, "run IN (2, 5)")
      (third.balance, third.balanceRange, third.condition) = (.metric, -2010 ... -2000, "run = 2")
      $0.stages = [second, third]
    }
    let epochs = try (0..<5).map { _ in try stream.drawn(1_000) }
    let plain = try fixture.stream(items: 20_000) { $0.itemsPerEpoch = 1_000 }
    #expect(try plain.drawn(1_000) == epochs[0] && stream.fingerprint != plain.fingerprint)
    for epoch in epochs[1...2] {
      #expect(epoch.allSatisfy { $0.start == 0 && [2, 5].contains($0.run) })
      #expect(epoch.count { $0.run == 2 } == 500)
    }
    for epoch in epochs[3...] {
      #expect(epoch.allSatisfy { $0.run == 2 && $0.targetMetric >= -2010 } && epoch.contains { $0.start > 0 })
    }
    #expect(epochs[1] != epochs[2] && epochs[3] != epochs[4])
    // An epoch is what it is, wherever one comes from.
    try stream.seek(PairStream.Position(epoch: 2, batch: 0))
    #expect(try stream.drawn(1_000) == epochs[2])
  }
}
