import CKernels
import Foundation
import GenerativeModel
import VectorKernels

/// A model's weights, what AdamW knows of them, and their moving average: (``WeightLayout/count``) each.
final class TrainingWeights {
  let weights, firstMoment, secondMoment, ema: AlignedBuffer<Float>

  /// Each with what its tensors' names in a file begin with.
  var parts: [(prefix: String, memory: UnsafeMutablePointer<Float>)] {
    [
      ("weights.", weights.base), ("moments1.", firstMoment.base), ("moments2.", secondMoment.base),
      ("average.", ema.base),
    ]
  }

  init(count: Int) {
    weights = AlignedBuffer(count: count)
    firstMoment = AlignedBuffer(count: count)
    secondMoment = AlignedBuffer(count: count)
    ema = AlignedBuffer(count: count)
  }
}

/// AdamW after clipping the gradient's norm, and the moving average.
struct Optimizer {
  let configuration: TrainingConfiguration
  let layout: WeightLayout
  let threads: ThreadPool
  let functions: ck_transformer

  /// Makes an update, counted from 0.
  func update(_ state: TrainingWeights, gradient: UnsafePointer<Float>, _ update: Int) {
    let length = 1 << 16
    var squares = [Double](repeating: 0, count: (layout.count + length - 1) / length)
    squares.withUnsafeMutableBufferPointer { squares in
      let squares = squares
      threads.forEachSlice(of: layout.count, length: length) { index, slice in
        squares[index] = functions.sum_of_squares(slice.count, gradient + slice.lowerBound)
      }
    }
    let norm = squares.reduce(0, +).squareRoot()
    var adamw = ck_adamw(
      learning_rate: configuration.learningRate(at: update), beta1: configuration.beta1,
      beta2: configuration.beta2, epsilon: 1e-8, weight_decay: 0,
      correction1: Float(1 - pow(Double(configuration.beta1), Double(update + 1))),
      correction2: Float(1 - pow(Double(configuration.beta2), Double(update + 1))), gradient_scale: 1,
      ema_decay: configuration.emaDecay(at: update))
    if let clip = configuration.gradientClip, norm > Double(clip) {
      adamw.gradient_scale = Float(Double(clip) / (norm + 1e-6))
    }
    func step(_ range: Range<Int>, decay: Float) {
      var adamw = adamw
      adamw.weight_decay = decay
      threads.forEachSlice(of: range.count) { _, slice in
        let first = range.lowerBound + slice.lowerBound
        functions.adamw(
          &adamw, slice.count, gradient + first, state.weights.base + first, state.firstMoment.base + first,
          state.secondMoment.base + first, state.ema.base + first)
      }
    }
    step(0..<layout.vectorCount, decay: 0)
    step(layout.vectorCount..<layout.count, decay: configuration.weightDecay)
  }
}
