public import Corpus
import Foundation
package import NetworkSymmetry

/// Distances between networks that do not depend on the order of hidden units, nor, where the activation is ReLU, on
/// their scale.
public struct NetworkMatcher: Sendable {
  package let slices: UnitSlices?
  /// Whether a unit's incoming parameters can be scaled up and its outgoing ones down without changing the function.
  let isHomogeneous: Bool
  let parameterCount: Int

  /// Sweeps over the layers, each of which is matched with the others held still.
  private static let sweeps = 20
  private static let balancingRounds = 100

  public init(_ architecture: Architecture) {
    slices = architecture.permutations?.isEmpty == false ? UnitSlices(architecture) : nil
    // Of the built-in networks: Cartpole's units are SELU's.
    isHomogeneous = architecture == .mnist || architecture == .cifar10
    parameterCount = architecture.parameterCount
  }

  /// The network with each unit scaled so that what leads to it is as large as what leads away; as it is, where units
  /// have no scale of their own.
  ///
  /// - Parameter network: (P).
  public func balanced(_ network: [Float]) -> [Float] {
    guard isHomogeneous, let slices else { return network }
    var network = network
    // What leads away from one layer leads to the next: they are balanced in turn until nothing changes.
    for _ in 0..<Self.balancingRounds {
      var change = 0.0
      for layer in slices.layers {
        for unit in layer.units { change = max(change, abs(log(Self.balance(unit, layer, &network)))) }
      }
      if change < 1e-6 || slices.layers.count == 1 { break }
    }
    return network
  }

  /// Scales one unit.
  ///
  /// - Returns: by how much what leads to it has grown.
  private static func balance(_ unit: [Int32], _ layer: UnitSlices.Layer, _ network: inout [Float]) -> Double
  {
    var (inner, outer) = (0.0, 0.0)
    for (position, leadsIn) in zip(unit, layer.leadsIn) {
      let square = Double(network[Int(position)]) * Double(network[Int(position)])
      if leadsIn { inner += square } else { outer += square }
    }
    guard inner > 0, outer > 0 else { return 1 }
    let factor = (outer / inner).squareRoot().squareRoot()
    for (position, leadsIn) in zip(unit, layer.leadsIn) {
      network[Int(position)] *= Float(leadsIn ? factor : 1 / factor)
    }
    return factor
  }

  /// The Euclidean distance of two balanced networks, (P) each, least over the orders of hidden units: exact for one hidden
  /// layer (the Hungarian method), by coordinate descent over the layers for more, as in Git Re-Basin (arXiv 2209.04836).
  public func distance(_ network: [Float], to other: [Float]) -> Double {
    Self.distance(aligned(network, to: other), other)
  }

  package static func distance(_ one: [Float], _ other: [Float]) -> Double {
    var sum = 0.0
    for (a, b) in zip(one, other) {
      let difference = Double(a) - Double(b)
      sum += difference * difference
    }
    return sum.squareRoot()
  }

  /// The network with its hidden units in the order in which it is nearest to another one; both are balanced.
  public func aligned(_ network: [Float], to other: [Float]) -> [Float] {
    guard let slices else { return network }
    var network = network
    // First by what no other layer moves, which tells copies from the beginning.
    if slices.layers.count > 1 {
      for layer in slices.layers where !layer.own.isEmpty { _ = match(layer, &network, other, layer.own) }
    }
    for _ in 0..<Self.sweeps {
      var isChanged = false
      for layer in slices.layers where match(layer, &network, other, nil) { isChanged = true }
      if !isChanged || slices.layers.count == 1 { break }
    }
    return network
  }

  /// Puts one layer's units into their best order.
  ///
  /// - Parameter chosen: the parameters of a unit that count; nil for all.
  /// - Returns: whether the order is another one than before.
  private func match(
    _ layer: UnitSlices.Layer, _ network: inout [Float], _ other: [Float], _ chosen: [Int]?
  ) -> Bool {
    let n = layer.units.count
    let chosen = chosen ?? Array(layer.leadsIn.indices)
    func gathered(_ network: [Float]) -> [[Float]] {
      layer.units.map { unit in chosen.map { network[Int(unit[$0])] } }
    }
    let (ours, theirs) = (gathered(network), gathered(other))
    var costs = [Double](repeating: 0, count: n * n)
    for row in 0..<n {
      for column in 0..<n { costs[row * n + column] = -Double(innerProduct(theirs[row], ours[column])) }
    }
    let columns = Assignment.solve(costs, n)
    guard columns != Array(0..<n) else { return false }
    let before = network
    for (unit, source) in zip(layer.units, columns.map { layer.units[$0] }) {
      for (position, from) in zip(unit, source) { network[Int(position)] = before[Int(from)] }
    }
    // Equal costs must not go round in circles.
    let gain = columns.indices.reduce(0.0) { $0 + costs[$1 * n + $1] - costs[$1 * n + columns[$1]] }
    return gain > 1e-9
  }
}
