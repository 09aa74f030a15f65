internal import CKernels
internal import Corpus
package import VectorKernels

/// The initial weights, random orthogonal matrices (Saxe et al., arXiv 1312.6120), and the biases.
///
/// Gram and Schmidt's process on normal vectors gives the uniform distribution, as a QR decomposition with a
/// positive diagonal does. It needs no more than + - * / and sqrt, which are the same everywhere.
package struct OrthogonalInitialization {
  let kernels: Kernels
  let seed: UInt64
  let biases: CartpoleRecipe.BiasInitialization
  private var block: UInt64 = 0
  private var biasBlock: UInt64 = 0

  package init(kernels: Kernels, seed: UInt64, biases: CartpoleRecipe.BiasInitialization = .default) {
    self.kernels = kernels
    self.seed = seed
    self.biases = biases
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
          let projection = dot(vector, other)
          for i in 0..<length { vector[i] -= projection * other[i] }
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
    return matrix(rows: hidden, columns: inputs, gain: hiddenGain) + biases(count: hidden, inputs: inputs)
      + matrix(rows: hidden, columns: hidden, gain: hiddenGain) + biases(count: hidden, inputs: hidden)
      + matrix(rows: 1, columns: hidden, gain: outputGain) + biases(count: 1, inputs: hidden)
  }

  /// The next biases of a layer.
  private mutating func biases(count: Int, inputs: Int) -> [Float] {
    if biases == .zero { return [Float](repeating: 0, count: count) }
    let bound = Float(1 / Double(inputs).squareRoot())
    var numbers = [Float](repeating: 0, count: count)
    kernels.functions.random_uniform(seed, CartpoleStream.biases.rawValue, biasBlock, count, &numbers)
    biasBlock += UInt64(count + 3) / 4
    return numbers.map { bound * (2 * $0 - 1) }
  }

  private mutating func normals(count: Int) -> [Double] {
    var floats = [Float](repeating: 0, count: count)
    kernels.functions.random_normal(seed, CartpoleStream.initialization.rawValue, block, count, &floats)
    block += UInt64(count + 3) / 4
    return floats.map(Double.init)
  }

  private func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for i in a.indices { sum += a[i] * b[i] }
    return sum
  }
}
