internal import CKernels
import Corpus
package import VectorKernels

/// An order of the units of every hidden layer: which old unit comes to each index. Memory is kept for reuse; it serves
/// one thread.
package final class UnitOrder {
  // A class, as it is lent for every item, and a copy of arrays would be counted each time.
  /// Layer by layer.
  let units: AlignedBuffer<UInt32>
  /// What the hidden layers compose of it, one index vector after the other.
  private let composed: AlignedBuffer<UInt32>
  private let summands: [[Summand]]
  /// Whether nothing is composed.
  private let isPlain: Bool
  private let hidden: HiddenLayers
  /// Random words, as many as units or a few more.
  private let words: AlignedBuffer<UInt32>
  private let kernels: ck_kernels

  package init(_ hidden: HiddenLayers, kernels: Kernels) {
    self.hidden = hidden
    let count = hidden.widths.reduce(0, +)
    units = AlignedBuffer(count: count)
    words = AlignedBuffer(count: (count + 63) / 64 * 64)
    composed = AlignedBuffer(count: hidden.compositions.reduce(0) { $0 + $1.count })
    isPlain = hidden.compositions.isEmpty
    summands = hidden.widths.indices.map { Summand.all(of: $0, hidden) }
    self.kernels = kernels.functions
    reset()
    compose()
  }

  /// The index vector of rows or columns.
  func pointer(_ index: HiddenLayers.Index) -> UnsafePointer<UInt32> {
    switch index {
    case .layer(let layer): UnsafePointer(units.base + hidden.firsts[layer])
    case .composed(let index): UnsafePointer(composed.base + hidden.compositions[index].first)
    }
  }

  /// Makes the index vectors that are composed of the layers' orders.
  private func compose() {
    guard !isPlain else { return }
    for composition in hidden.compositions {
      composition.write(composed.base + composition.first) { layer, index in
        Int(units.base[hidden.firsts[layer] + index])
      }
    }
  }

  /// Leaves every unit where it is.
  private func reset() {
    for (first, width) in zip(hidden.firsts, hidden.widths) {
      for i in 0..<width { units.base[first + i] = UInt32(i) }
    }
  }

  /// The order of a layer.
  package subscript(layer: Int) -> [UInt32] {
    Array(UnsafeBufferPointer(start: units.base + hidden.firsts[layer], count: hidden.widths[layer]))
  }

  /// Draws the order of each layer, all being equally likely (Fisher and Yates), from a stream of random numbers.
  package func shuffle(seed: UInt64, stream: UInt64) {
    var (next, block) = (words.count, UInt64(0))
    func integer(below bound: UInt32) -> UInt32 {
      while true {
        if next == words.count {
          kernels.random_words(seed, stream, block, words.count, words.base)
          next = 0
          block += UInt64(words.count / 4)
        }
        next += 1
        if let integer = PhiloxGenerator.integer(words.base[next - 1], below: bound) { return integer }
      }
    }
    reset()
    for (first, width) in zip(hidden.firsts, hidden.widths) {
      let units = units.base + first
      for last in stride(from: width - 1, to: 0, by: -1) {
        let other = Int(integer(below: UInt32(last + 1)))
        (units[last], units[other]) = (units[other], units[last])
      }
    }
    compose()
  }

  /// Takes the order from a parameter vector: the units of each layer by the sums of what leads to them.
  ///
  /// The layers are done one after the other, and each sum goes through the layers before in the order just found, and
  /// through numbers that layers without an order yet would move sorted by size. So networks that differ in the order of
  /// their units alone have the same sums, to the bit, and get the same order. Units of equal sums, which are as good as
  /// never different, keep theirs.
  package func canonicalize(_ parameters: UnsafePointer<Float>) {
    if !isPlain { reset() }
    for (layer, (first, width)) in zip(hidden.firsts, hidden.widths).enumerated() {
      var sums = [Double](repeating: 0, count: width)
      for summand in summands[layer] {
        if summand.isPlain {
          addRows(of: summand.tensor, of: parameters, to: &sums)
        } else {
          add(summand, layer, of: parameters, to: &sums)
        }
      }
      let sorted = sums.indices.sorted { (sums[$0], $0) < (sums[$1], $1) }
      for (index, unit) in sorted.enumerated() { units.base[first + index] = UInt32(unit) }
    }
    compose()
  }

  private func addRows(
    of tensor: HiddenLayers.Tensor, of parameters: UnsafePointer<Float>, to sums: inout [Double]
  ) {
    let length = tensor.columns * tensor.block
    for row in 0..<tensor.rows {
      let values = parameters + tensor.start + row * length
      for column in 0..<tensor.columns {
        let from = tensor.columnLayer.map { Int(units.base[hidden.firsts[$0] + column]) } ?? column
        for i in 0..<tensor.block { sums[row] += Double(values[from * tensor.block + i]) }
      }
    }
  }

  private func add(
    _ summand: Summand, _ layer: Int, of parameters: UnsafePointer<Float>, to sums: inout [Double]
  ) {
    var values = [[Float]](repeating: [], count: summand.isSorted ? sums.count : 0)
    // Layers from this one on are where the vector has them.
    func order(_ other: Int, _ index: Int) -> Int {
      other < layer ? Int(units.base[hidden.firsts[other] + index]) : index
    }
    HiddenLayers.Walk(summand.axes).forEach(order) { source, unitsOfElement in
      let value = parameters[summand.tensor.start + source]
      var last: Int?
      // An element between two units of the layer belongs to both, and one on the diagonal only once.
      for unit in unitsOfElement where unit.layer == layer && unit.index != last {
        if summand.isSorted {
          values[unit.index].append(value)
        } else {
          sums[unit.index] += Double(value)
        }
        last = unit.index
      }
    }
    for unit in values.indices {
      for value in values[unit].sorted() { sums[unit] += Double(value) }
    }
  }
}

/// A tensor whose numbers go into the sums that order a layer.
private struct Summand: Sendable {
  let tensor: HiddenLayers.Tensor
  let axes: [HiddenLayers.Axis]
  /// Whether its rows are the units, and its columns in order by then.
  let isPlain: Bool
  /// Whether more than these units is out of order by then.
  let isSorted: Bool

  /// The tensors that lead to a layer, which moves their first axis; all that it moves if these are nothing but vectors.
  static func all(of layer: Int, _ hidden: HiddenLayers) -> [Summand] {
    func moves(_ axis: HiddenLayers.Axis) -> Bool {
      axis.segments.contains { $0.factors.contains { $0.layer == layer } }
    }
    let moved = zip(hidden.tensors, hidden.axes).filter { $1.contains(where: moves) }
    let incoming = moved.filter { moves($1[0]) }
    let isVectors = incoming.allSatisfy { $1.count == 1 }
    return (isVectors ? moved : incoming).map { tensor, axes in
      let open = axes.map { axis in
        axis.segments.map { $0.factors.count { ($0.layer ?? -1) >= layer } }.max() ?? 0
      }
      return Summand(
        tensor: tensor, axes: axes,
        isPlain: tensor.isPlain && tensor.rowLayer == layer && (tensor.columnLayer ?? -1) < layer,
        isSorted: open.reduce(0, +) > 1)
    }
  }
}
