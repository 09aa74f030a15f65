import Foundation
import Testing

import PairSampling
import PairStream

/// The chi-squared statistic of counts against what is expected of them.
func chiSquared(_ counts: [Int], _ expected: [Double]) -> Double {
  zip(counts, expected).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) / $1.1 }
}

/// Whether counts are those of a fair choice: a chi-squared statistic that chance exceeds once in a million times (by
/// the cubes of Wilson and Hilferty).
func isEven(_ counts: [Int]) -> Bool {
  let expected = Double(counts.reduce(0, +)) / Double(counts.count)
  let freedom = Double(counts.count - 1)
  let spread = 2 / (9 * freedom)
  return chiSquared(counts, counts.map { _ in expected })
    < freedom * pow(1 - spread + 4.75 * spread.squareRoot(), 3)
}

/// Whether a count of independent draws is within five standard deviations of its expectation.
func isNear(_ count: Int, _ share: Double, of total: Int) -> Bool {
  let expected = share * Double(total)
  return abs(Double(count) - expected) <= 5 * max(1, (expected * (1 - share)).squareRoot())
}

extension PairStream {
  /// Many pairs, without what is in them.
  func drawn(_ count: Int) throws -> [Pair] {
    var pairs: [Pair] = []
    while pairs.count < count { pairs += try next().drawn }
    return pairs
  }
}

extension PairBatch {
  var drawn: [Pair] {
    (0..<count).map { i in
      Pair(
        run: run[i], start: startStep[i], target: targetStep[i], startMetric: startMetric[i],
        targetMetric: targetMetric[i], parameters: [])
    }
  }
}
