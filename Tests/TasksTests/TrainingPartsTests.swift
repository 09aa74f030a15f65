import Tasks
import Corpus
import Foundation
import Testing
import VectorKernels

@Suite struct CheckpointScheduleTests {
  private func draw(_ count: Int, _ last: Int, seed: UInt64) -> [Int32] {
    var random = PhiloxGenerator(seed: seed)
    return CheckpointSchedule.iterations(count: count, last: last, random: &random)
  }

  @Test func `is sorted and distinct with both ends`() {
    expectBothEnds { draw($0, $1, seed: $2) }
    #expect(draw(200, 500, seed: 1).count == 200)
  }

  /// Each of the 10 pairs of 1...5 is drawn as often as any other.
  @Test func `draws every subset equally often`() {
    var counts: [[Int32]: Int] = [:]
    for seed in 0..<10_000 as Range<UInt64> { counts[draw(4, 6, seed: seed), default: 0] += 1 }
    #expect(counts.count == 10)
    #expect(counts.values.allSatisfy { abs($0 - 1000) < 5 * 30 })
  }
}

@Suite struct CosineDecayTests {
  @Test func `is the cosine`() {
    for i in 0...1000 {
      let x = Double(i) / 1000
      #expect(abs(CosineDecay.cosineOfHalfTurns(x) - cos(Double.pi * x)) < 4e-16)
    }
    let decay = CosineDecay(base: 3e-4, epochs: 4000)
    #expect(decay.rate(epoch: 0) == 3e-4)
    #expect(abs(decay.rate(epoch: 2000) - 1.5e-4) < 1e-18)
    #expect(decay.rate(epoch: 3999) > 0)
  }
}

@Suite struct EpisodeWindowTests {
  @Test func `keeps the last`() {
    var window = EpisodeWindow(capacity: 3)
    #expect(window.mean == 0)
    for (value, mean) in [(1, 1), (3, 2), (5, 3), (7, 5), (9, 7), (11, 9), (13, 11)] as [(Float, Float)] {
      window.append(value)
      #expect(window.mean == mean)
    }
  }
}

@Suite struct OrthogonalInitializationTests {
  @Test(arguments: [(32, 4), (32, 32), (1, 32), (3, 5)]) func `is orthogonal`(rows: Int, columns: Int) throws
  {
    var initialization = OrthogonalInitialization(kernels: try Kernels(environment: [:]), seed: 4)
    let matrix = initialization.matrix(rows: rows, columns: columns, gain: 2)
    #expect(matrix.count == rows * columns)
    func vector(_ i: Int) -> [Double] {
      rows > columns
        ? (0..<rows).map { Double(matrix[$0 * columns + i]) }
        : (0..<columns).map { Double(matrix[i * columns + $0]) }
    }
    for i in 0..<min(rows, columns) {
      for j in 0..<min(rows, columns) {
        let product = zip(vector(i), vector(j)).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(product - (i == j ? 4 : 0)) < 1e-6)
      }
    }
    #expect(initialization.matrix(rows: rows, columns: columns, gain: 2) != matrix)
  }
}

/// What all rules have in common: as many iterations as are asked for, ascending and distinct, the first and the last among
/// them.
///
/// - Parameter draw: gets the count, the last iteration and the seed.
func expectBothEnds(_ draw: (Int, Int, UInt64) -> [Int32]) {
  for last in 1...12 {
    for count in 2...(last + 1) {
      for seed in 0..<20 as Range<UInt64> {
        let iterations = draw(count, last, seed)
        #expect(iterations.count == count)
        #expect(iterations.first == 0 && iterations.last == Int32(last))
        #expect(zip(iterations, iterations.dropFirst()).allSatisfy { $0 < $1 })
      }
    }
  }
}
