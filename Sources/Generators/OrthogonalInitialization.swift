internal import CKernels
internal import Corpus
package import VectorKernels

/// The initial weights: random orthogonal matrices (Saxe et al., arXiv 1312.6120), biases 0.
///
/// Gram and Schmidt's process on normal vectors gives the uniform distribution, as a QR decomposition with a
/// positive diagonal does. It needs no more than + - * / and sqrt, which are the same everywhere.
package struct OrthogonalInitialization {
  let kernels: Kernels
  let seed: UInt64
  private var block: UInt64 = 0

  package init(kernels: Kernels, seed: UInt64) {
    self.kernels = kernels
    self.seed = seed
  }

  /// The next matrix (rows, columns), row-major: `gain` times rows that are orthonormal, or columns where
  /// there are more rows.
  package mutating func matrix(rows: Int, columns: Int, gain: Double) -> [Float] {
    let length = max(rows, columns)
    var vectors: [[Double]] = []
    for _ in 0..<min(rows, columns) {
      var vector = normals(count: length)
      // Twice is enough: the second pass removes what rounding left of the first.
      for _ in 0..<2 {
        for other in vectors {
          let share = dot(vector, other)
          for i in 0..<length { vector[i] -= share * other[i] }
        }
        let norm = dot(vector, vector).squareRoot()
        for i in 0..<length { vector[i] /= norm }
      }
      vectors.append(vector)
    }
    return (0..<rows).flatMap { r in
      (0..<columns).map { c in Float(gain * (rows > columns ? vectors[c][r] : vectors[r][c])) }
    }
  }

  /// The parameters of a 4-32-32-1 network, in the order of `CK_MLP_PARAMETERS`.
  package mutating func network(hiddenGain: Double, outputGain: Double) -> [Float] {
    let inputs = Int(CK_MLP_INPUTS)
    let hidden = Int(CK_MLP_HIDDEN)
    let biases = [Float](repeating: 0, count: hidden)
    return matrix(rows: hidden, columns: inputs, gain: hiddenGain) + biases
      + matrix(rows: hidden, columns: hidden, gain: hiddenGain) + biases
      + matrix(rows: 1, columns: hidden, gain: outputGain) + [0]
  }

  private mutating func normals(count: Int) -> [Double] {
    let floats = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress {
        kernels.functions.random_normal(
          seed, CartpoleStream.initialization.rawValue, block, count, base)
      }
      initialized = count
    }
    block += UInt64(count + 3) / 4
    return floats.map(Double.init)
  }

  private func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for i in a.indices { sum += a[i] * b[i] }
    return sum
  }
}

/// A run's streams of random numbers, one a purpose.
enum CartpoleStream: UInt64 {
  case initialization, schedule, resets, actions, evaluationResets, evaluationActions
}
