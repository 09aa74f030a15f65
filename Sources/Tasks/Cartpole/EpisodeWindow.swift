/// The returns of the last finished episodes, of which `train_return` is the mean.
package struct EpisodeWindow {
  package let capacity: Int
  private var returns: [Float] = []
  private var next = 0

  package init(capacity: Int) {
    self.capacity = capacity
    returns.reserveCapacity(capacity)
  }

  package mutating func append(_ value: Float) {
    if returns.count < capacity {
      returns.append(value)
    } else {
      returns[next] = value
    }
    next = (next + 1) % capacity
  }

  /// The mean over the window, or over all episodes while they are fewer than its capacity; 0 for none.
  package var mean: Float { Self.mean(returns) }

  /// The mean of some returns, summed in Double; 0 for none.
  static func mean(_ returns: [Float]) -> Float {
    returns.isEmpty ? 0 : Float(returns.reduce(0) { $0 + Double($1) } / Double(returns.count))
  }
}
