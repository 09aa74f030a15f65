import Corpus

extension HiddenLayers {
  /// An axis of a tensor as segments, one behind the other.
  struct Axis: Sendable {
    /// A segment of an axis whose length is a product.
    struct Segment: Sendable {
      let start: Int
      let factors: [Factor]
    }

    struct Factor: Sendable {
      let count: Int
      /// Elements from one of its values to the next.
      let stride: Int
      /// The hidden layer that moves it, if any.
      let layer: Int?
    }

    let length: Int
    let segments: [Segment]

    init(fixed length: Int) {
      self.length = length
      segments = [Segment(start: 0, factors: [Factor(count: length, stride: 1, layer: nil)])]
    }

    init(_ axis: PermutationGroups.Axis, _ widths: [Int], _ numbers: [String: Int]) {
      var segments: [Segment] = []
      var start = 0
      for segment in axis.segments {
        var (factors, stride): ([Factor], Int) = ([], 1)
        for factor in segment.reversed() {
          let (count, layer): (Int, Int?)
          switch factor {
          case .fixed(let size): (count, layer) = (size, nil)
          case .moved(let name):
            layer = numbers[name]
            count = layer.map { widths[$0] } ?? 1
          }
          factors.append(Factor(count: count, stride: stride, layer: layer))
          stride *= count
        }
        segments.append(Segment(start: start, factors: factors.reversed().filter { $0.count > 1 }))
        start += stride
      }
      length = start
      self.segments = segments
    }

    var isMoved: Bool { segments.contains { $0.factors.contains { $0.layer != nil } } }

    /// The layer whose units are the whole axis; nil in it where nothing moves, and nil for anything else.
    var plain: Int?? {
      guard isMoved else { return .some(nil) }
      guard segments.count == 1, segments[0].factors.count == 1 else { return nil }
      return .some(segments[0].factors[0].layer)
    }

    /// The layer whose units, each of as many elements, are the whole axis; the whole axis where nothing moves, and nil
    /// for anything else.
    var leading: (units: Int, layer: Int?)? {
      guard isMoved else { return (length, nil) }
      guard segments.count == 1, let first = segments[0].factors.first, let layer = first.layer,
        segments[0].factors.dropFirst().allSatisfy({ $0.layer == nil })
      else { return nil }
      return (first.count, layer)
    }
  }

  /// An index vector over one or more axes, made out of the orders of layers.
  struct Composition: Sendable {
    let axes: [Axis]
    /// Where it begins among the index vectors of all.
    let first: Int
    let count: Int

    /// - Parameter order: which unit of a layer comes to an index in it.
    func write(_ output: UnsafeMutablePointer<UInt32>, _ order: (Int, Int) -> Int) {
      var next = 0
      Walk(axes).forEach(order) { source, _ in
        output[next] = UInt32(source)
        next += 1
      }
    }
  }

  struct Compositions {
    var all: [Composition] = []
    private var end = 0

    mutating func add(_ axes: [Axis]) -> Index {
      let count = axes.reduce(1) { $0 * $1.length }
      all.append(Composition(axes: axes, first: end, count: count))
      end += count
      return .composed(all.count - 1)
    }
  }

  /// Goes through the elements of some axes in their order.
  struct Walk {
    private let axes: [Axis]
    /// Elements of the axes behind each.
    private let sizes: [Int]

    init(_ axes: [Axis]) {
      self.axes = axes
      sizes = axes.indices.map { axes[($0 + 1)...].reduce(1) { $0 * $1.length } }
    }

    /// - Parameters:
    ///   - order: which unit of a layer comes to an index in it.
    ///   - body: gets the element that comes next, and the layers' units that it is of.
    func forEach(_ order: (Int, Int) -> Int, _ body: (Int, [(layer: Int, index: Int)]) -> Void) {
      var units: [(layer: Int, index: Int)] = []
      func step(_ axis: Int, _ segment: Axis.Segment, _ factor: Int, _ source: Int) {
        guard factor < segment.factors.count else { return enter(axis + 1, source) }
        let it = segment.factors[factor]
        let stride = it.stride * sizes[axis]
        guard let layer = it.layer else {
          for index in 0..<it.count { step(axis, segment, factor + 1, source + index * stride) }
          return
        }
        for index in 0..<it.count {
          units.append((layer, index))
          step(axis, segment, factor + 1, source + order(layer, index) * stride)
          units.removeLast()
        }
      }
      func enter(_ axis: Int, _ source: Int) {
        guard axis < axes.count else { return body(source, units) }
        for segment in axes[axis].segments {
          step(axis, segment, 0, source + segment.start * sizes[axis])
        }
      }
      enter(0, 0)
    }
  }
}
