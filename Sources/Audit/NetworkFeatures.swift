package import Corpus
package import NetworkSymmetry

/// A short vector of a network that does not depend on the order of its hidden units: by it the search for near ones
/// begins.
///
/// The parameters of each unit are projected on a few random directions, the same for all units, and what a layer's
/// units have on a direction is sorted: the distance of sorted projections is a lower bound of that of the matched units
/// (a sliced Wasserstein distance). Parameters that two layers move count by their sums over the other layer's units.
package struct NetworkFeatures: Sendable {
  private let layers: [Projection]
  private let fixed: [Int32]
  /// Of the parameters that nothing moves, where they are many.
  private let fixedDirections: [[Float]]
  /// The length of a feature vector, a multiple of 8.
  package let count: Int

  private struct Projection: Sendable {
    let layer: UnitSlices.Layer
    /// The sets of a unit's parameters that count by their sums: one parameter, or one for each unit of another layer.
    let coordinates: [[Int32]]
    /// (directions, coordinates), orthonormal rows times the square root of coordinates / directions, so that squares of
    /// distances come out about as large as they are.
    let directions: [[Float]]
  }

  /// Features of this length are wanted, at most.
  private static let wanted = 240
  /// Parameters that nothing moves count one by one, if they are not more than these.
  private static let wantedFixed = 64

  package init(_ architecture: Architecture, _ slices: UnitSlices?) {
    let fixed = slices?.fixed ?? (0..<Int32(architecture.parameterCount)).map { $0 }
    let moved = slices?.layers ?? []
    let directions = max(2, Self.wanted / max(1, moved.reduce(0) { $0 + $1.units.count }))
    var random = PhiloxGenerator(seed: 0xA0D1, stream: 0)
    layers = moved.map { layer in
      let coordinates = layer.own.map { [Int32($0)] } + layer.shared.map { $0.map { Int32($0) } }
      return Projection(
        layer: layer, coordinates: coordinates,
        directions: Self.directions(min(directions, coordinates.count), coordinates.count, &random))
    }
    fixedDirections =
      fixed.count > Self.wantedFixed ? Self.directions(Self.wantedFixed, fixed.count, &random) : []
    self.fixed = fixed
    let length = layers.reduce(min(fixed.count, Self.wantedFixed)) {
      $0 + $1.layer.units.count * $1.directions.count
    }
    count = (length + 7) / 8 * 8
  }

  /// Orthonormal random directions, by Gram and Schmidt, times sqrt(length / count).
  private static func directions(_ count: Int, _ length: Int, _ random: inout PhiloxGenerator) -> [[Float]] {
    var rows: [[Double]] = []
    while rows.count < count {
      // The sum of uniform numbers is as good as a normal one here: what counts is that directions are spread out.
      var row = (0..<length).map { _ in
        (0..<6).reduce(-3.0) { sum, _ in sum + Double(random.uniform()) }
      }
      for other in rows {
        let part = zip(row, other).reduce(0) { $0 + $1.0 * $1.1 }
        for index in row.indices { row[index] -= part * other[index] }
      }
      let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      rows.append(row.map { $0 / norm })
    }
    let scale = (Double(length) / Double(count)).squareRoot()
    return rows.map { $0.map { Float($0 * scale) } }
  }

  /// Writes the features of a balanced network, (P), to ``count`` floats.
  package func write(_ network: [Float], to output: UnsafeMutablePointer<Float>) {
    network.withUnsafeBufferPointer { network in
      var next = 0
      for projection in layers { next = write(projection, network, output, next) }
      let still = fixed.map { network[Int($0)] }
      for value in fixedDirections.isEmpty ? still : fixedDirections.map({ innerProduct($0, still) }) {
        output[next] = value
        next += 1
      }
      while next < count {
        output[next] = 0
        next += 1
      }
    }
  }

  private func write(
    _ projection: Projection, _ network: UnsafeBufferPointer<Float>, _ output: UnsafeMutablePointer<Float>,
    _ first: Int
  ) -> Int {
    let units = projection.layer.units
    var coordinates = [Float](repeating: 0, count: projection.coordinates.count)
    var projected = [[Float]](repeating: [], count: projection.directions.count)
    for unit in units {
      unit.withUnsafeBufferPointer { unit in
        for (index, set) in projection.coordinates.enumerated() {
          if set.count == 1 {
            coordinates[index] = network[Int(unit[Int(set[0])])]
          } else {
            var sum: Float = 0
            for parameter in set { sum += network[Int(unit[Int(parameter)])] }
            coordinates[index] = sum / Float(set.count).squareRoot()
          }
        }
      }
      for (number, direction) in projection.directions.enumerated() {
        projected[number].append(innerProduct(direction, coordinates))
      }
    }
    var next = first
    for values in projected {
      for value in values.sorted() {
        output[next] = value
        next += 1
      }
    }
    return next
  }
}
