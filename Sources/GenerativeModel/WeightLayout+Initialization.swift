import CKernels
package import VectorKernels

extension WeightLayout {
  /// Writes new weights: matrices normal with deviation 0.02, decoders and biases 0, gains 1.
  ///
  /// - Parameter weights: (count), all 0.
  package func initialize(_ weights: UnsafeMutablePointer<Float>, seed: UInt64, kernels: Kernels) {
    let norms = [embedding.norm, head.norm] + blocks.flatMap { [$0.norm1, $0.norm2] }
    let width = tensors[0].count
    for norm in norms {
      for i in 0..<width { weights[norm.gain + i] = 1 }
    }
    for (index, tensor) in tensors.enumerated()
    where tensor.offset >= vectorCount && !tensor.name.hasPrefix("decoders.") {
      let stream = RandomPurpose.initialization.stream(index, item: 0)
      tensor.fill(weights) {
        kernels.functions.random_normal(seed, stream, 0, tensor.count, $0)
        for i in 0..<tensor.count { $0[i] *= 0.02 }
      }
    }
  }
}

extension WeightLayout.Tensor {
  /// Gives the tensor the numbers that `body` writes one after the other.
  ///
  /// - Parameter weights: all weights, (``WeightLayout/count``).
  package func fill(_ weights: UnsafeMutablePointer<Float>, _ body: (UnsafeMutablePointer<Float>) -> Void) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { numbers in
      guard let base = numbers.baseAddress else { return }
      body(base)
      for row in 0..<rows {
        (weights + offset + row * stride).update(from: base + row * columns, count: columns)
      }
    }
  }
}

/// What random numbers are for. Each stream of them is a purpose, an index (an update, or a pass of sampling) and an item
/// of its batch.
package enum RandomPurpose: UInt64 {
  case initialization
  /// What an update draws for each of its pairs.
  case noise, timestep
  /// What the held-out loss draws for each of its pairs, the same each time.
  case heldOutNoise, heldOutTimestep
  /// The noise of sampling.
  case sample

  package func stream(_ index: Int, item: Int) -> UInt64 {
    rawValue << 60 | UInt64(index & (1 << 36 - 1)) << 24 | UInt64(item & (1 << 24 - 1))
  }
}
