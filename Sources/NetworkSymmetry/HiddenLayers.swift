package import Corpus

/// The hidden units of a network, and how they move its parameters: its permutation groups, laid out for copying.
///
/// A hidden layer is a group. A tensor is copied as a matrix of rows and columns of blocks: one index vector says which
/// row comes to each row, another one which column to each column.
package struct HiddenLayers: Sendable {
  /// Where the index vector of a tensor's rows or columns comes from.
  package enum Index: Hashable, Sendable {
    /// The units of a hidden layer in their order.
    case layer(Int)
    /// Made out of the orders of one or more layers; an index into ``HiddenLayers/compositions``.
    case composed(Int)
  }

  /// One tensor, and what moves in it.
  package struct Tensor: Sendable {
    /// Where it starts in the parameter vector.
    package let start: Int
    package let rows: Int
    package let columns: Int
    /// Floats of an element: the taps of a convolution, or the pixels of a channel that is flattened.
    package let block: Int
    package let rowIndex: Index?
    package let columnIndex: Index?
    /// Whether rows are the tensor's first axis, and columns the next one or the leading factor of it: as in a chain of
    /// layers, where what moves is units that a tensor leads to (rows), or comes from (columns).
    package let isPlain: Bool

    /// The hidden layer whose units are its rows, if any.
    package var rowLayer: Int? { rowIndex?.layer }
    /// The hidden layer whose units are its columns, if any.
    package var columnLayer: Int? { columnIndex?.layer }
  }

  /// The tensors in the order of the parameter vector.
  package let tensors: [Tensor]
  /// What moves in each axis of each tensor; apart from these, which are copied for every item without counting references.
  let axes: [[Axis]]
  /// The units of each hidden layer.
  package let widths: [Int]
  /// The index of each hidden layer's first unit among those of all.
  package let firsts: [Int]
  /// The axes whose index vectors have to be made for each order.
  let compositions: [Composition]

  /// The layers that an architecture declares; none where it declares nothing.
  package init(_ architecture: Architecture) {
    self.init(architecture.tensors, architecture.permutations ?? .none)
  }

  private init(_ tensors: [Architecture.Tensor], _ groups: PermutationGroups) {
    let widths = groups.groups.map(\.units)
    self.widths = widths
    firsts = widths.indices.map { widths[..<$0].reduce(0, +) }
    let numbers = Dictionary(uniqueKeysWithValues: groups.groups.enumerated().map { ($1.name, $0) })
    var compositions = Compositions()
    axes = tensors.map { tensor in
      groups.tensors[tensor.name]?.map { Axis($0, widths, numbers) }
        ?? tensor.shape.map { Axis(fixed: $0) }
    }
    var laidOut: [Tensor] = []
    var start = 0
    for (tensor, axes) in zip(tensors, axes) {
      laidOut.append(Tensor(tensor.shape, axes, start, &compositions))
      start += tensor.count
    }
    self.tensors = laidOut
    self.compositions = compositions.all
  }

  /// Whether each parameter belongs to one unit, or is the one weight between two: all tensors are plain, none leads from a
  /// layer to itself, no two lead from and to the same layers, and each layer has parameters of its own.
  package var isChain: Bool {
    let links = tensors.compactMap { tensor in
      tensor.rowLayer.flatMap { row in tensor.columnLayer.map { [row, $0] } }
    }
    return tensors.allSatisfy(\.isPlain) && links.allSatisfy { $0[0] != $0[1] }
      && Set(links).count == links.count
      && Set(tensors.compactMap { $0.rowLayer ?? $0.columnLayer }).count == widths.count
  }
}

extension HiddenLayers {
  /// The layers by which a model of networks is laid out.
  ///
  /// Models from before permutation groups were declared read them off the shapes, and are read that way still.
  package static func ofModel(_ architecture: Architecture) -> HiddenLayers {
    HiddenLayers(architecture.tensors, architecture.permutations ?? chain(architecture.tensors))
  }

  /// The hidden layers of a network that would be a chain of linear layers and convolutions. It need not be one.
  ///
  /// A tensor of two or more dimensions is the weight of a layer (units, inputs, …), one of a single dimension after it
  /// and as long as its units is its bias, and what stands before the first weight belongs to no layer. The units of a
  /// layer move where they are the inputs of the next one.
  static func chain(_ tensors: [Architecture.Tensor]) -> PermutationGroups {
    let weights = tensors.indices.filter { tensors[$0].shape.count >= 2 }
    var groups: [PermutationGroups.Group] = []
    var axes: [String: [PermutationGroups.Axis]] = [:]
    func move(_ tensor: Int, _ axis: Int, _ factors: [PermutationGroups.Factor]) {
      let shape = tensors[tensor].shape
      var all = axes[tensors[tensor].name] ?? shape.map { [.fixed($0)] }
      all[axis] = PermutationGroups.Axis(segments: [factors])
      axes[tensors[tensor].name] = all
    }
    for (weight, next) in zip(weights, weights.dropFirst()) {
      let (units, inputs) = (tensors[weight].shape[0], tensors[next].shape[1])
      guard inputs.isMultiple(of: units) else { continue }
      let name = "\(groups.count)"
      groups.append(.init(name, units))
      move(weight, 0, [.moved(name)])
      if weight + 1 < tensors.count, tensors[weight + 1].shape == [units] {
        move(weight + 1, 0, [.moved(name)])
      }
      move(next, 1, inputs == units ? [.moved(name)] : [.moved(name), .fixed(inputs / units)])
    }
    return PermutationGroups(groups: groups, tensors: axes)
  }
}

extension HiddenLayers.Index {
  var layer: Int? { if case .layer(let layer) = self { layer } else { nil } }
}

extension HiddenLayers.Tensor {
  /// - Parameter axes: what moves in each.
  fileprivate init(
    _ shape: [Int], _ axes: [HiddenLayers.Axis], _ start: Int,
    _ compositions: inout HiddenLayers.Compositions
  ) {
    self.start = start
    let count = shape.reduce(1, *)
    let moved = axes.indices.filter { axes[$0].isMoved }
    let row = shape.first ?? 1
    if let rowLayer = axes.isEmpty ? .some(nil) : axes[0].plain, shape.count <= 1 {
      (rows, columns, block, isPlain) = (row, 1, 1, true)
      (rowIndex, columnIndex) = (rowLayer.map { .layer($0) }, nil)
    } else if shape.count >= 2, let rowLayer = axes[0].plain, let (units, columnLayer) = axes[1].leading,
      moved.allSatisfy({ $0 < 2 })
    {
      (rows, columns, block, isPlain) = (row, units, count / row / units, true)
      (rowIndex, columnIndex) = (rowLayer.map { .layer($0) }, columnLayer.map { .layer($0) })
    } else {
      // Rows are the axes up to the first one that moves, unless that is the first of all: then they are that alone.
      let (first, last) = (moved[0], moved[moved.count - 1])
      let inner = max(first, 1)...max(last, max(first, 1))
      isPlain = false
      rows = first == 0 ? row : shape[..<first].reduce(1, *)
      rowIndex = first > 0 ? nil : axes[0].plain.map { $0.map { .layer($0) } } ?? compositions.add([axes[0]])
      let isMatrix = last > 0
      columns = isMatrix ? shape[inner].reduce(1, *) : 1
      block = count / rows / columns
      columnIndex = isMatrix ? compositions.add(Array(axes[inner])) : nil
    }
  }
}
