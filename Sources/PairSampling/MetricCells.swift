/// A range of a metric, cut into cells which are drawn from equally often.
struct MetricCells: Sendable {
  static let count = 64

  /// The least and the greatest value of each cell, both of it; ascending. Where many checkpoints have the same value,
  /// several cells may consist of it.
  let lower: [Float]
  let upper: [Float]

  /// - Parameter knots: ``count`` + 1 of them, ascending: where the cells begin, and the last one ends.
  private init(knots: [Float]) {
    lower = Array(knots.dropLast())
    upper = zip(knots, knots.dropFirst()).enumerated().map { number, ends in
      number == Self.count - 1 || ends.0 == ends.1 ? ends.1 : ends.1.nextDown
    }
  }

  /// Cells of equal widths.
  init(evenly range: ClosedRange<Float>) {
    let (low, high) = (Double(range.lowerBound), Double(range.upperBound))
    self.init(
      knots: (0...Self.count).map {
        $0 == Self.count ? range.upperBound : Float(low + (high - low) * Double($0) / Double(Self.count))
      })
  }

  /// Cells whose ends have equal ratios.
  init(logarithmically range: ClosedRange<Float>) {
    var knots = [Double(range.lowerBound), Double(range.upperBound)]
    // By geometric means: square roots are rounded alike everywhere.
    while knots.count <= Self.count {
      knots =
        zip(knots, knots.dropFirst()).flatMap { [$0, ($0 * $1).squareRoot()] } + [knots[knots.count - 1]]
    }
    self.init(knots: knots.map { Float($0) })
  }

  /// Cells that hold equally many of some values.
  ///
  /// - Parameter values: ascending, in the range.
  init(quantiles values: [Float], of range: ClosedRange<Float>) {
    let inner = (1..<Self.count).map { values[$0 * values.count / Self.count] }
    self.init(knots: [range.lowerBound] + inner + [range.upperBound])
  }

  /// The cells that a value lies in: none outside the range, and for what is not a number; several only where they are
  /// alike in a value.
  func cells(of value: Float) -> Range<Int> {
    var (low, high) = (0, Self.count)
    // The first cell that does not end before it.
    while low < high {
      let middle = (low + high) / 2
      if upper[middle] >= value { high = middle } else { low = middle + 1 }
    }
    var end = low
    while end < Self.count, lower[end] <= value { end += 1 }
    return low..<end
  }
}
