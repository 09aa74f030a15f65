import Corpus
import Foundation
import Platform
import SampleViews
import Testing

@Suite struct PrincipalPlaneTests {
  /// Vectors with two large, planted directions among many small ones.
  private func vectors(_ count: Int, length: Int) -> [[Float]] {
    (0..<count).map { number in
      var random = PhiloxGenerator(seed: 4, stream: UInt64(number))
      let (a, b) = (3 * random.uniform() - 1.5, 2 * random.uniform() - 1)
      return (0..<length).map { i in
        a * Float(sin(Double(i))) + b * Float(cos(3 * Double(i))) + 0.3 * random.uniform() + 5
      }
    }
  }

  private func plane(_ vectors: [[Float]], other: [Float]? = nil, workers: Int = 1) throws -> PrincipalPlane {
    try PrincipalPlane(
      of: vectors, other: other ?? vectors[0], workers: workers, cancellation: Cancellation())
  }

  /// The variance of vectors along a direction of length 1.
  private func variance(_ vectors: [[Float]], along direction: [Double]) -> Double {
    let places = vectors.map { zip($0, direction).reduce(0) { $0 + Double($1.0) * $1.1 } }
    let mean = places.reduce(0, +) / Double(places.count)
    return places.reduce(0) { $0 + pow($1 - mean, 2) } / Double(places.count - 1)
  }

  /// What a direction is turned into by the vectors' covariance, in Double and from its definition.
  private func covariance(_ vectors: [[Float]], times direction: [Double]) -> [Double] {
    let length = direction.count
    let mean = (0..<length).map { i in vectors.reduce(0) { $0 + Double($1[i]) } / Double(vectors.count) }
    var result = [Double](repeating: 0, count: length)
    for vector in vectors {
      let centred = (0..<length).map { Double(vector[$0]) - mean[$0] }
      let share = zip(centred, direction).reduce(0) { $0 + $1.0 * $1.1 } / Double(vectors.count - 1)
      for i in 0..<length { result[i] += share * centred[i] }
    }
    return result
  }

  @Test(arguments: [(40, 70), (70, 40), (4, 500)]) func `directions are the covariance's leading ones`(
    count: Int, length: Int
  ) throws {
    let vectors = vectors(count, length: length)
    let plane = try plane(vectors)
    let directions = plane.directions.map { $0.map(Double.init) }
    var basis = directions
    for (direction, deviation) in zip(directions, plane.deviations) {
      // An eigenvector, and its eigenvalue is the variance.
      let image = covariance(vectors, times: direction)
      #expect(zip(image, direction).allSatisfy { abs($0 - deviation * deviation * $1) < 1e-5 })
      #expect(abs(variance(vectors, along: direction) / (deviation * deviation) - 1) < 1e-5)
    }
    #expect(plane.deviations[0] > plane.deviations[1])
    #expect(abs(zip(directions[0], directions[1]).reduce(0) { $0 + $1.0 * $1.1 }) < 1e-6)
    // No direction at right angles to both has more than the second: the power method finds the most that there is.
    var random = PhiloxGenerator(seed: 9)
    var other = (0..<length).map { _ in Double(random.uniform()) - 0.5 }
    for _ in 0..<300 {
      other = covariance(vectors, times: other)
      for direction in basis {
        let share = zip(other, direction).reduce(0) { $0 + $1.0 * $1.1 }
        other = zip(other, direction).map { $0 - share * $1 }
      }
      let norm = other.reduce(0) { $0 + $1 * $1 }.squareRoot()
      other = other.map { $0 / max(norm, 1e-300) }
    }
    basis.append(other)
    #expect(variance(vectors, along: other) < plane.deviations[1] * plane.deviations[1])
    let total = (0..<length).reduce(0.0) { sum, i in
      sum + variance(vectors, along: (0..<length).map { $0 == i ? 1 : 0 })
    }
    #expect(abs(plane.explained[0] - plane.deviations[0] * plane.deviations[0] / total) < 1e-6)
  }

  @Test func `projections are where vectors are nearest`() throws {
    let plane = try plane(vectors(20, length: 50))
    let made = plane.mean.indices.map {
      plane.mean[$0] + 2.5 * plane.directions[0][$0] - 1.25 * plane.directions[1][$0]
    }
    let (x, y, distance) = plane.project(made)
    #expect(abs(x - 2.5) < 1e-5 && abs(y + 1.25) < 1e-5 && distance < 1e-3)
    #expect(plane.project(vectors(21, length: 50)[20]).distance > 0.5)
  }

  @Test func `one sample, or equal ones, leave the start and something else`() throws {
    let vectors = vectors(2, length: 30)
    for samples in [[vectors[0]], [vectors[0], vectors[0]]] {
      let plane = try plane(samples, other: vectors[1])
      #expect(plane.deviations == [0, 0] && plane.explained == [0, 0])
      let start = plane.project(vectors[1])
      #expect(abs(start.x) > 1 && abs(start.y) < 1e-4 && start.distance < 1e-2)
    }
  }

  @Test func `workers do not matter`() throws {
    let vectors = vectors(33, length: 90)
    let (one, three) = (try plane(vectors), try plane(vectors, workers: 3))
    #expect(one.directions == three.directions && one.deviations == three.deviations)
  }
}
