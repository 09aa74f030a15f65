import CKernels
import Foundation
import VectorKernels

/// A model's weights, what AdamW knows of them, and their moving average: (``WeightLayout/count``) each.
final class TrainingWeights {
  let weights, moments1, moments2, average: AlignedBuffer<Float>

  init(count: Int) {
    weights = AlignedBuffer(count: count)
    moments1 = AlignedBuffer(count: count)
    moments2 = AlignedBuffer(count: count)
    average = AlignedBuffer(count: count)
  }
}

/// AdamW after clipping the gradient's norm, and the moving average.
struct Optimizer {
  let configuration: TrainingConfiguration
  let layout: WeightLayout
  let team: Team
  let functions: ck_transformer

  /// Makes update `step`, counted from 0.
  ///
  /// - Returns: the gradient's norm before it was clipped.
  @discardableResult
  func update(_ state: TrainingWeights, gradient: UnsafePointer<Float>, step: Int) -> Double {
    let length = 1 << 16
    var squares = [Double](repeating: 0, count: (layout.count + length - 1) / length)
    squares.withUnsafeMutableBufferPointer { squares in
      let squares = squares
      team.forEachStretch(of: layout.count, length: length) { number, stretch in
        squares[number] = functions.sum_of_squares(stretch.count, gradient + stretch.lowerBound)
      }
    }
    let norm = squares.reduce(0, +).squareRoot()
    var adamw = ck_adamw(
      learning_rate: configuration.learningRate(at: step), beta1: configuration.beta1,
      beta2: configuration.beta2, epsilon: 1e-8, weight_decay: 0,
      correction1: Float(1 - pow(Double(configuration.beta1), Double(step + 1))),
      correction2: Float(1 - pow(Double(configuration.beta2), Double(step + 1))), gradient_scale: 1,
      average_decay: configuration.averageDecay(at: step))
    if let clip = configuration.gradientClip, norm > Double(clip) {
      adamw.gradient_scale = Float(Double(clip) / (norm + 1e-6))
    }
    func update(_ range: Range<Int>, decay: Float) {
      var adamw = adamw
      adamw.weight_decay = decay
      team.forEachStretch(of: range.count) { _, stretch in
        let first = range.lowerBound + stretch.lowerBound
        functions.adamw(
          &adamw, stretch.count, gradient + first, state.weights.base + first, state.moments1.base + first,
          state.moments2.base + first, state.average.base + first)
      }
    }
    update(0..<layout.vectorCount, decay: 0)
    update(layout.vectorCount..<layout.count, decay: configuration.weightDecay)
    return norm
  }
}
