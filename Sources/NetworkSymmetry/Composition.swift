import Corpus

extension HiddenLayers {
  /// What moves in an axis: stretches, one behind the other.
  struct Level: Sendable {
    /// A stretch of an axis whose length is a product.
    struct Stretch: Sendable {
      let start: Int
      let factors: [Factor]
    }

    struct Factor: Sendable {
      let count: Int
      /// From one of its values to the next.
      let stride: Int
      /// The hidden layer that moves it, if any.
      let layer: Int?
    }

    let length: Int
    let stretches: [Stretch]

    init(fixed length: Int) {
      self.length = length
      stretches = [Stretch(start: 0, factors: [Factor(count: length, stride: 1, layer: nil)])]
    }

    init(_ axis: PermutationGroups.Axis, _ widths: [Int], _ numbers: [String: Int]) {
      var stretches: [Stretch] = []
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
        stretches.append(Stretch(start: start, factors: factors.reversed().filter { $0.count > 1 }))
        start += stride
      }
      length = start
      self.stretches = stretches
    }

    var isMoved: Bool { stretches.contains { $0.factors.contains { $0.layer != nil } } }

    /// The layer whose units are the whole axis; nil in it where nothing moves, and nil for anything else.
    var plain: Int?? {
      guard isMoved else { return .some(nil) }
      guard stretches.count == 1, stretches[0].factors.count == 1 else { return nil }
      return .some(stretches[0].factors[0].layer)
    }

    /// The layer whose units, each of as many elements, are the whole axis; the whole axis where nothing moves, and nil
    /// for anything else.
    var leading: (units: Int, layer: Int?)? {
      guard isMoved else { return (length, nil) }
      guard stretches.count == 1, let first = stretches[0].factors.first, let layer = first.layer,
        stretches[0].factors.dropFirst().allSatisfy({ $0.layer == nil })
      else { return nil }
      return (first.count, layer)
    }
  }

  /// An index vector over one or more axes, made out of the orders of layers.
  struct Composition: Sendable {
    let levels: [Level]
    /// Its place among the numbers of all.
    let first: Int
    let count: Int

    /// - Parameter order: which unit of a layer comes to a place.
    func write(_ output: UnsafeMutablePointer<UInt32>, _ order: (Int, Int) -> Int) {
      var next = 0
      Walk(levels).forEach(order) { source, _ in
        output[next] = UInt32(source)
        next += 1
      }
    }
  }

  struct Compositions {
    var all: [Composition] = []
    private var end = 0

    mutating func add(_ levels: [Level]) -> Index {
      let count = levels.reduce(1) { $0 * $1.length }
      all.append(Composition(levels: levels, first: end, count: count))
      end += count
      return .composed(all.count - 1)
    }
  }

  /// Goes through the elements of some axes in their order.
  struct Walk {
    private let levels: [Level]
    /// Elements of the axes behind each.
    private let sizes: [Int]

    init(_ levels: [Level]) {
      self.levels = levels
      sizes = levels.indices.map { levels[($0 + 1)...].reduce(1) { $0 * $1.length } }
    }

    /// - Parameters:
    ///   - order: which unit of a layer comes to a place.
    ///   - body: gets the element that comes to each place, and the places of the layers' units that it is of.
    func forEach(_ order: (Int, Int) -> Int, _ body: (Int, [(layer: Int, place: Int)]) -> Void) {
      var units: [(layer: Int, place: Int)] = []
      func step(_ level: Int, _ stretch: Level.Stretch, _ factor: Int, _ source: Int) {
        guard factor < stretch.factors.count else { return enter(level + 1, source) }
        let it = stretch.factors[factor]
        let stride = it.stride * sizes[level]
        guard let layer = it.layer else {
          for place in 0..<it.count { step(level, stretch, factor + 1, source + place * stride) }
          return
        }
        for place in 0..<it.count {
          units.append((layer, place))
          step(level, stretch, factor + 1, source + order(layer, place) * stride)
          units.removeLast()
        }
      }
      func enter(_ level: Int, _ source: Int) {
        guard level < levels.count else { return body(source, units) }
        for stretch in levels[level].stretches {
          step(level, stretch, 0, source + stretch.start * sizes[level])
        }
      }
      enter(0, 0)
    }
  }
}
