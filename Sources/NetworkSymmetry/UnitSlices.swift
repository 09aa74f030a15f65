package import Corpus

/// The parameters of each hidden unit, by their positions in the parameter vector.
package struct UnitSlices: Sendable {
  /// One hidden layer, that is a permutation group.
  package struct Layer: Sendable {
    /// For each unit the positions of its parameters, all in the same order.
    package let units: [[Int32]]
    /// Of each parameter of a unit, whether it leads to the unit (its row of weights, its bias) or away from it.
    package let leadsIn: [Bool]
    /// The parameters that no other layer moves, as indices into ``units``' positions.
    package let own: [Int]
    /// The parameters that another layer moves as well, in groups that this other layer's orders only permute.
    package let shared: [[Int]]
  }

  package let layers: [Layer]
  /// The positions that no layer moves.
  package let fixed: [Int32]

  /// Nil where a tensor leads from a layer to itself, so that units have no parameters of their own.
  package init?(_ architecture: Architecture) {
    let hidden = HiddenLayers(architecture)
    var positions = hidden.widths.map { [[Int32]](repeating: [], count: $0) }
    var leadsIn: [[Bool]] = hidden.widths.map { _ in [] }
    /// Of each parameter of a layer's first unit, which tensor it is in and the other layer that moves it.
    var others: [[(tensor: Int, layer: Int?, key: [Int])]] = hidden.widths.map { _ in [] }
    var fixed: [Int32] = []
    for (number, (tensor, axes)) in zip(hidden.tensors, hidden.axes).enumerated() {
      var isPossible = true
      let rowLayers = axes.first.map(Self.layers) ?? []
      HiddenLayers.Walk(axes).forEach({ $1 }) { source, units in
        let position = Int32(tensor.start + source)
        if units.isEmpty { fixed.append(position) }
        if Set(units.map(\.layer)).count < units.count { isPossible = false }
        for unit in units {
          positions[unit.layer][unit.index].append(position)
          guard unit.index == 0 else { continue }
          let other = units.first { $0.layer != unit.layer }
          leadsIn[unit.layer].append(rowLayers.contains(unit.layer))
          // What is left of the position when the other layer's unit is taken out: where it lies for each of its units.
          var rest = source
          if let other { rest -= Self.offset(of: other, in: axes) }
          others[unit.layer].append((number, other?.layer, [number, other?.layer ?? -1, rest]))
        }
      }
      guard isPossible else { return nil }
    }
    layers = hidden.widths.indices.map { layer in
      let own = others[layer].indices.filter { others[layer][$0].layer == nil }
      var groups: [[Int]: [Int]] = [:]
      for index in others[layer].indices where others[layer][index].layer != nil {
        groups[others[layer][index].key, default: []].append(index)
      }
      return Layer(
        units: positions[layer], leadsIn: leadsIn[layer], own: own,
        shared: groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value))
    }
    self.fixed = fixed
  }

  private static func layers(_ axis: HiddenLayers.Axis) -> Set<Int> {
    Set(axis.segments.flatMap { $0.factors.compactMap(\.layer) })
  }

  /// How far a unit of a layer lies from that layer's first one, in the elements of a tensor.
  private static func offset(of unit: (layer: Int, index: Int), in axes: [HiddenLayers.Axis]) -> Int {
    for (axis, rest) in zip(axes, axes.indices.map { axes[($0 + 1)...].reduce(1) { $0 * $1.length } }) {
      for factor in axis.segments.lazy.flatMap(\.factors) where factor.layer == unit.layer {
        return unit.index * factor.stride * rest
      }
    }
    return 0
  }
}
