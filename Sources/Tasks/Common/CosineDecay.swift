/// The learning rate of each epoch: base * (1 + cos(pi * epoch / epochs)) / 2.
///
/// The cosine is a series of our own, because C libraries differ in the last bit.
package struct CosineDecay {
  package let base: Double
  package let epochs: Int

  package init(base: Double, epochs: Int) {
    self.base = base
    self.epochs = epochs
  }

  package func rate(epoch: Int) -> Double {
    base * 0.5 * (1 + Self.cosineOfHalfTurns(Double(epoch) / Double(epochs)))
  }

  /// cos(pi * x) for x in 0...1, within 2e-16.
  package static func cosineOfHalfTurns(_ x: Double) -> Double {
    if x > 0.5 { return -cosineOfHalfTurns(1 - x) }
    let square = (Double.pi * x) * (Double.pi * x)
    var sum = 1.0
    // Horner's scheme of 1 - s/2! + s^2/4! - …; the first term left out is below 1e-19.
    for n in stride(from: 22.0, through: 2, by: -2) { sum = 1 - sum * square / (n * (n - 1)) }
    return sum
  }
}
