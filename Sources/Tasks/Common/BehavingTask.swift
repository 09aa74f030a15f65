/// A task in which it can be told how alike two networks behave.
public protocol BehavingTask: Evaluator {
  /// What the behaviour of a network is asked about: (any length); empty where all networks are asked the same.
  func questions(for network: [Float]) -> [Float]

  /// What a network does when it is asked: (any length).
  func behavior(of network: [Float], asked questions: [Float]) -> [Float]

  /// How alike two behaviours are, from 0 to 1, that is equal.
  ///
  /// Of classifiers, the intersection of the test images that both get wrong over the union of those that one does (IoU,
  /// after Zeng et al., "Generative modeling of weights: generalization or memorization?", 2025); of policies, 1 less
  /// half the mean difference of their actions in states that the first one visits.
  func similarity(_ one: [Float], _ other: [Float]) -> Float

  /// What ``similarity(_:_:)`` is, in words.
  var similarityMeaning: String { get }

  /// Whether asking a network takes milliseconds, so that thousands can be asked.
  var isQuickToAsk: Bool { get }
}

extension BehavingTask {
  public var isQuickToAsk: Bool { true }
}

extension ImageTask {
  public func questions(for network: [Float]) -> [Float] { [] }

  public var similarityMeaning: String {
    "test images that both classify wrongly, over those that at least one does (IoU)"
  }

  public func similarity(_ one: [Float], _ other: [Float]) -> Float {
    var (both, either): (Int32, Int32) = (0, 0)
    one.withUnsafeBufferPointer { one in
      other.withUnsafeBufferPointer { other in
        for index in 0..<min(one.count, other.count) {
          let (a, b): (Int32, Int32) = (one[index] > 0 ? 1 : 0, other[index] > 0 ? 1 : 0)
          both &+= a & b
          either &+= a | b
        }
      }
    }
    return either == 0 ? 1 : Float(both) / Float(either)
  }
}
