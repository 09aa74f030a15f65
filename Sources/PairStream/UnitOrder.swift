internal import CKernels
import Corpus
import VectorKernels

/// An order of the units of every hidden layer: which old unit comes to each place. Memory is kept for reuse; it serves
/// one thread.
package final class UnitOrder {
  // A class, as it is lent for every item, and a copy of arrays would be counted each time.
  /// Layer by layer.
  let units: AlignedBuffer<UInt32>
  private let hidden: HiddenLayers
  /// Random words, as many as units or a few more.
  private let words: AlignedBuffer<UInt32>
  private let kernels: ck_kernels

  package init(_ hidden: HiddenLayers) {
    self.hidden = hidden
    let count = hidden.widths.reduce(0, +)
    units = AlignedBuffer(count: count)
    words = AlignedBuffer(count: (count + 63) / 64 * 64)
    kernels = ck_kernels_best().pointee
    reset()
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
  }

  /// Takes the order from a parameter vector: the units of each layer by the sums of their incoming weights and bias.
  ///
  /// The layers are done one after the other, and each sum goes through the layer before in the order just found. So
  /// networks that differ in the order of their units alone have the same sums, to the bit, and get the same order.
  /// Units of equal sums, which are as good as never different, keep theirs.
  package func canonicalize(_ parameters: UnsafePointer<Float>) {
    for (layer, (first, width)) in zip(hidden.firsts, hidden.widths).enumerated() {
      var sums = [Double](repeating: 0, count: width)
      for part in hidden.parts where part.rowLayer == layer {
        let length = part.columns * part.block
        for row in 0..<part.rows {
          let values = parameters + part.start + row * length
          for column in 0..<part.columns {
            let from = part.columnLayer.map { Int(units.base[hidden.firsts[$0] + column]) } ?? column
            for i in 0..<part.block { sums[row] += Double(values[from * part.block + i]) }
          }
        }
      }
      let sorted = sums.indices.sorted { (sums[$0], $0) < (sums[$1], $1) }
      for (place, unit) in sorted.enumerated() { units.base[first + place] = UInt32(unit) }
    }
  }
}
