import Foundation

/// How the model sees numbers: [sin(f x), cos(f x), x] with frequencies f from 1 to 2^octaves.
package struct ScalarEmbedding: Sendable {
  private let frequencies: [Float]
  private let metricScale: Float
  /// The embedding of each timestep.
  private let timesteps: [[Float]]

  package init(_ configuration: ModelConfiguration) {
    let count = configuration.frequencies
    let frequencies = (0..<count).map {
      Float(exp2(configuration.octaves * Double($0) / Double(max(1, count - 1))))
    }
    self.frequencies = frequencies
    metricScale = configuration.metricScale
    timesteps = (0..<configuration.diffusionSteps).map {
      Self.embedding(of: Float($0) * configuration.stepScale, frequencies)
    }
  }

  private static func embedding(of x: Float, _ frequencies: [Float]) -> [Float] {
    // Rounded once, as PyTorch has it; the sine of what may be millions takes more than float32.
    let angles = frequencies.map { Double($0 * x) }
    return angles.map { Float(sin($0)) } + angles.map { Float(cos($0)) } + [x]
  }

  /// Writes the last three of an example's four scalars: metric difference, target metric and starting metric.
  ///
  /// - Parameter output: (4, floats of an embedded scalar).
  package func embed(startMetric: Float, targetMetric: Float, to output: UnsafeMutablePointer<Float>) {
    for (index, x) in [targetMetric - startMetric, targetMetric, startMetric].enumerated() {
      let embedding = Self.embedding(of: x * metricScale, frequencies)
      (output + (1 + index) * embedding.count).update(from: embedding, count: embedding.count)
    }
  }

  /// Writes the first of an example's four scalars, the timestep, to (4, floats of an embedded scalar).
  package func embed(timestep: Int, to output: UnsafeMutablePointer<Float>) {
    output.update(from: timesteps[timestep], count: timesteps[timestep].count)
  }
}
