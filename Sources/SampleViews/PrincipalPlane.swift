package import Corpus
import Foundation
package import Platform
import Synchronization

/// The plane through the mean of some vectors along their two leading principal directions.
package struct PrincipalPlane: Sendable {
  /// (P) each; the directions have length 1 and are at right angles.
  package let mean: [Float]
  package let directions: [[Float]]
  /// The standard deviations of the vectors along them (with the number of vectors - 1).
  package let deviations: [Double]
  /// The share of the vectors' whole variance that each has; 0 where there is none.
  package let explained: [Double]

  /// - Parameters:
  ///   - vectors: (n, P), n at least 1 and P at least 2.
  ///   - other: a vector to which a direction leads where the vectors have fewer than two.
  package init(
    of vectors: [[Float]], other: [Float], workers: Int, cancellation: Cancellation
  ) throws(CorpusError) {
    let (n, length) = (vectors.count, vectors[0].count)
    var sums = [Double](repeating: 0, count: length)
    for vector in vectors { for i in 0..<length { sums[i] += Double(vector[i]) } }
    let mean = sums.map { $0 / Double(n) }
    let centred = vectors.map { vector in vector.indices.map { Double(vector[$0]) - mean[$0] } }
    let products = try Self.products(centred, workers: workers, cancellation)
    let total = (0..<n).reduce(0) { $0 + products[$1][$1] }
    let leading = try LeadingEigenvectors(of: products, cancellation)
    var directions: [[Double]] = []
    var (deviations, explained) = ([0.0, 0.0], [0.0, 0.0])
    for (axis, (value, weights)) in zip(leading.values, leading.vectors).enumerated()
    where value > 1e-12 * total {
      var direction = [Double](repeating: 0, count: length)
      for (vector, weight) in zip(centred, weights) {
        for i in 0..<length { direction[i] += weight * vector[i] }
      }
      guard let unit = Self.unit(direction, apartFrom: directions) else { break }
      directions.append(unit)
      deviations[axis] = (value / Double(max(1, n - 1))).squareRoot()
      explained[axis] = value / total
    }
    // One sample, or all the same: towards the other vector, and anywhere.
    var random = PhiloxGenerator(seed: 0)
    var spare = zip(other, mean).map { Double($0) - $1 }
    while directions.count < 2 {
      if let unit = Self.unit(spare, apartFrom: directions) { directions.append(unit) }
      spare = (0..<length).map { _ in Double(random.uniform()) - 0.5 }
    }
    self.mean = mean.map { Float($0) }
    self.directions = directions.map { $0.map { Float($0) } }
    (self.deviations, self.explained) = (deviations, explained)
  }

  /// Where on the plane a vector is nearest to it, and how far from it.
  package func project(_ vector: [Float]) -> (x: Float, y: Float, distance: Float) {
    var (x, y, square) = (0.0, 0.0, 0.0)
    let (first, second) = (directions[0], directions[1])
    for i in vector.indices {
      let difference = Double(vector[i]) - Double(mean[i])
      x += difference * Double(first[i])
      y += difference * Double(second[i])
      square += difference * difference
    }
    return (Float(x), Float(y), Float(max(0, square - x * x - y * y).squareRoot()))
  }

  /// The vector without what it has of others, at length 1 and with its largest element positive; nil if nothing is left.
  private static func unit(_ vector: [Double], apartFrom others: [[Double]]) -> [Double]? {
    var vector = vector
    let before = dot(vector, vector).squareRoot()
    // Twice, as rounding leaves something of the first time.
    for _ in 0..<2 {
      for other in others {
        let share = dot(vector, other)
        for i in vector.indices { vector[i] -= share * other[i] }
      }
    }
    let norm = dot(vector, vector).squareRoot()
    guard norm > 1e-9 * before, norm.isFinite, norm > 0 else { return nil }
    let largest = vector.reduce(0) { abs($1) > abs($0) ? $1 : $0 }
    let factor = (largest < 0 ? -1 : 1) / norm
    return vector.map { $0 * factor }
  }

  /// The products (n, n) of all pairs of vectors.
  private static func products(
    _ vectors: [[Double]], workers: Int, _ cancellation: Cancellation
  ) throws(CorpusError) -> [[Double]] {
    let rows = Mutex([[Double]](repeating: [], count: vectors.count))
    try parallelForEach(Array(vectors.indices.reversed()), workers: workers) { (row) throws(CorpusError) in
      try cancellation.check()
      let values = (0...row).map { dot(vectors[row], vectors[$0]) }
      rows.withLock { $0[row] = values }
    }
    let lower = rows.withLock { $0 }
    return lower.indices.map { row in
      lower.indices.map { column in column <= row ? lower[row][column] : lower[column][row] }
    }
  }
}

/// The two largest eigenvalues of a symmetric matrix without negative ones, and their vectors: by subspace iteration, whose
/// block is rotated onto the matrix's own axes until both are as exact as they can be.
struct LeadingEigenvectors {
  private(set) var values: [Double] = []
  private(set) var vectors: [[Double]] = []

  private static let block = 12
  private static let rounds = 5_000

  init(of matrix: [[Double]], _ cancellation: Cancellation) throws(CorpusError) {
    let n = matrix.count
    let scale = (0..<n).reduce(0) { max($0, matrix[$1][$1]) }
    guard scale > 0, scale.isFinite else { return }
    var random = PhiloxGenerator(seed: 1)
    var basis = (0..<min(Self.block, n)).map { _ in (0..<n).map { _ in Double(random.uniform()) - 0.5 } }
    orthonormalize(&basis)
    for round in 1...Self.rounds {
      try cancellation.check()
      var images = basis.map { vector in matrix.map { dot($0, vector) } }
      let isLast = round == Self.rounds
      if round.isMultiple(of: 8) || isLast {
        // What the matrix is within the block, on its own axes there (Rayleigh and Ritz).
        let within = basis.map { vector in images.map { dot(vector, $0) } }
        let (ritz, rotations) = jacobi(within)
        func rotated(_ vectors: [[Double]]) -> [[Double]] {
          rotations.map { weights in
            (0..<n).map { i in zip(weights, vectors).reduce(0) { $0 + $1.0 * $1.1[i] } }
          }
        }
        (basis, images) = (rotated(basis), rotated(images))
        let two = 0..<min(2, ritz.count)
        let residual =
          two.map { k in
            (0..<n).reduce(0) { $0 + pow(images[k][$1] - ritz[k] * basis[k][$1], 2) }.squareRoot()
          }.max() ?? 0
        if residual <= 1e-12 * ritz[0] || isLast {
          (values, vectors) = (two.map { ritz[$0] }, two.map { basis[$0] })
          return
        }
      }
      basis = images
      orthonormalize(&basis)
    }
  }

  /// Vectors that depend on those before them become 0.
  private func orthonormalize(_ vectors: inout [[Double]]) {
    for k in vectors.indices {
      let before = dot(vectors[k], vectors[k]).squareRoot()
      for _ in 0..<2 {
        for other in 0..<k {
          let share = dot(vectors[k], vectors[other])
          for i in vectors[k].indices { vectors[k][i] -= share * vectors[other][i] }
        }
      }
      let norm = dot(vectors[k], vectors[k]).squareRoot()
      let factor = norm > 1e-12 * before ? 1 / norm : 0
      for i in vectors[k].indices { vectors[k][i] *= factor }
    }
  }
}

/// The eigenvalues of a small symmetric matrix, the largest first, and their vectors: by Jacobi's rotations.
func jacobi(_ matrix: [[Double]]) -> (values: [Double], vectors: [[Double]]) {
  let n = matrix.count
  var a = matrix
  var v = (0..<n).map { i in (0..<n).map { $0 == i ? 1.0 : 0.0 } }
  for _ in 0..<60 {
    var rest = 0.0
    for p in 0..<n { for q in 0..<p { rest = max(rest, abs(a[p][q])) } }
    let scale = (0..<n).reduce(0) { max($0, abs(a[$1][$1])) }
    if rest <= 1e-17 * scale { break }
    for p in 0..<n {
      for q in (p + 1)..<max(n, p + 1) where a[p][q] != 0 {
        let angle = 0.5 * atan(2 * a[p][q] / (a[q][q] - a[p][p]))
        let (c, s) = (cos(angle), sin(angle))
        for k in 0..<n { (a[k][p], a[k][q]) = (c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]) }
        for k in 0..<n { (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]) }
        for k in 0..<n { (v[p][k], v[q][k]) = (c * v[p][k] - s * v[q][k], s * v[p][k] + c * v[q][k]) }
      }
    }
  }
  let order = (0..<n).sorted { (a[$0][$0], $1) > (a[$1][$1], $0) }
  return (order.map { a[$0][$0] }, order.map { v[$0] })
}

/// In eight sums, which the processor adds up side by side.
func dot(_ a: [Double], _ b: [Double]) -> Double {
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      var sums = SIMD8<Double>()
      let whole = a.count / 8 * 8
      for start in stride(from: 0, to: whole, by: 8) {
        var (x, y) = (SIMD8<Double>(), SIMD8<Double>())
        for lane in 0..<8 { (x[lane], y[lane]) = (a[start + lane], b[start + lane]) }
        sums += x * y
      }
      return (whole..<a.count).reduce(sums.sum()) { $0 + a[$1] * b[$1] }
    }
  }
}
