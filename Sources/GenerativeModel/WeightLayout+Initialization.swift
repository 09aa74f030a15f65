import CKernels
import Corpus
import VectorKernels

extension WeightLayout {
  /// Writes new weights: matrices normal with deviation 0.02, decoders and biases 0, gains 1.
  ///
  /// - Parameter weights: (count), all 0.
  func initialize(_ weights: UnsafeMutablePointer<Float>, seed: UInt64, kernels: Kernels) {
    let gains = [encoderNorm, finalNorm] + blocks.flatMap { [$0.norm1, $0.norm2] }
    let width = tensors[0].count
    for norm in gains {
      for i in 0..<width { weights[norm.gain + i] = 1 }
    }
    for (number, tensor) in tensors.enumerated()
    where tensor.offset >= vectorCount && !tensor.name.hasPrefix("decoders.") {
      let stream = RandomPurpose.initialization.stream(step: number, item: 0)
      tensor.fill(weights) {
        kernels.functions.random_normal(seed, stream, 0, tensor.count, $0)
        for i in 0..<tensor.count { $0[i] *= 0.02 }
      }
    }
  }
}

extension WeightLayout.Tensor {
  /// Gives it the numbers that `body` writes one after the other.
  ///
  /// - Parameter weights: all weights.
  func fill(_ weights: UnsafeMutablePointer<Float>, _ body: (UnsafeMutablePointer<Float>) -> Void) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { numbers in
      guard let base = numbers.baseAddress else { return }
      body(base)
      for row in 0..<rows {
        (weights + offset + row * stride).update(from: base + row * columns, count: columns)
      }
    }
  }
}

/// What random numbers are for; each stream of them is a purpose, a step and an item of its batch.
enum RandomPurpose: UInt64 {
  case initialization
  /// Of training.
  case noise, diffusionStep
  /// Of the held-out loss, the same each time.
  case heldOutNoise, heldOutDiffusionStep
  /// Of sampling.
  case sample

  func stream(step: Int, item: Int) -> UInt64 {
    rawValue << 60 | UInt64(step & (1 << 36 - 1)) << 24 | UInt64(item & (1 << 24 - 1))
  }
}
