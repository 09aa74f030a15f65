import Corpus

/// A plane in parameter space, that of a landscape: the network at (x, y) is origin + x · first + y · second.
public struct ParameterPlane: Sendable {
  /// (P) each.
  public let origin: [Float]
  public let first: [Float]
  public let second: [Float]

  /// - Precondition: three vectors of one length.
  public init(origin: [Float], first: [Float], second: [Float]) {
    precondition(first.count == origin.count && second.count == origin.count)
    (self.origin, self.first, self.second) = (origin, first, second)
  }

  /// The (P) parameters of a network.
  public func network(x: Float, y: Float) -> [Float] {
    origin.indices.map { origin[$0].addingProduct(x, first[$0]).addingProduct(y, second[$0]) }
  }
}

/// Measures the networks of one plane.
public protocol PlaneEvaluator: Sendable {
  /// The test images that every network is measured on; nil for tasks without.
  var images: Int? { get }

  /// One of the task's evaluated metrics, of the networks (x, y) for each x of a row; on the calling thread, and the same
  /// bits in any order of rows.
  func values(x: [Float], y: Float) -> [Float]
}

/// Evaluates one network after the other, as they are.
struct SingleNetworks: PlaneEvaluator {
  let plane: ParameterPlane
  let images: Int?
  /// The metric of a network.
  let value: @Sendable ([Float]) -> Float

  func values(x: [Float], y: Float) -> [Float] { x.map { value(plane.network(x: $0, y: y)) } }
}

extension Evaluator {
  /// Whatever the task, it measures the networks of a plane one by one.
  public func evaluator(of plane: ParameterPlane, metric: Int, images: Int?) -> any PlaneEvaluator {
    SingleNetworks(plane: plane, images: nil) { evaluate(network: $0, seed: 0)[metric] }
  }
}
