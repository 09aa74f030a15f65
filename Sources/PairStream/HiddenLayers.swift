package import Corpus

/// The hidden layers of a network that is a chain of linear layers and convolutions, read off its architecture.
///
/// A tensor of two or more dimensions is the weight of a layer (units, inputs, …), one of a single dimension after it
/// and as long as its units is its bias, and what stands before the first weight belongs to no layer. The units of a
/// layer may be permuted where they are the inputs of the next one: its rows, its bias and the columns of the next
/// move together, and the function stays the same.
package struct HiddenLayers: Sendable {
  /// One tensor, and what moves in it.
  package struct Part: Sendable {
    /// Where it starts in the parameter vector.
    package let start: Int
    package let rows: Int
    package let columns: Int
    /// Floats of an element: the taps of a convolution, or the pixels of a channel that is flattened.
    package let block: Int
    /// The hidden layer whose units are its rows, if any.
    package let rowLayer: Int?
    /// The hidden layer whose units are its columns, if any.
    package let columnLayer: Int?
  }

  package let parts: [Part]
  /// The units of each hidden layer.
  package let widths: [Int]
  /// The place of each hidden layer's first unit among those of all.
  package let firsts: [Int]

  package init(_ architecture: Architecture) {
    let tensors = architecture.tensors
    let weights = tensors.indices.filter { tensors[$0].shape.count >= 2 }
    var widths: [Int] = []
    var layerBehind: [Int: Int] = [:]
    for (weight, next) in zip(weights, weights.dropFirst()) {
      let units = tensors[weight].shape[0]
      guard tensors[next].shape[1].isMultiple(of: units) else { continue }
      layerBehind[weight] = widths.count
      widths.append(units)
    }
    var parts: [Part] = []
    var start = 0
    var current: Int?
    var previous: Int?
    for (i, tensor) in tensors.enumerated() {
      if tensor.shape.count >= 2 {
        (previous, current) = (current, i)
        let columnLayer = previous.flatMap { layerBehind[$0] }
        let columns = columnLayer.map { widths[$0] } ?? tensor.shape[1]
        parts.append(
          Part(
            start: start, rows: tensor.shape[0], columns: columns,
            block: tensor.count / tensor.shape[0] / columns, rowLayer: layerBehind[i],
            columnLayer: columnLayer))
      } else {
        let isBias = current.map { $0 == i - 1 && tensors[$0].shape[0] == tensor.count } ?? false
        parts.append(
          Part(
            start: start, rows: tensor.count, columns: 1, block: 1,
            rowLayer: isBias ? current.flatMap { layerBehind[$0] } : nil, columnLayer: nil))
      }
      start += tensor.count
    }
    self.parts = parts
    self.widths = widths
    firsts = widths.indices.map { widths[..<$0].reduce(0, +) }
  }
}
