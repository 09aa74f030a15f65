import Foundation

/// How the model sees numbers: [sin(f x), cos(f x), x] with frequencies f from 1 to 2^octaves.
package struct ScalarEmbedding: Sendable {
  private let frequencies: [Float]
  private let metricScale: Float
  /// (diffusion steps, embedded scalar): the embeddings of all timesteps.
  private let timesteps: [Float]

  package init(_ configuration: ModelConfiguration) {
    let count = configuration.frequencies
    let frequencies = (0..<count).map {
      Float(exp2(configuration.octaves * Double($0) / Double(max(1, count - 1))))
    }
    self.frequencies = frequencies
    metricScale = configuration.metricScale
    var timesteps = [Float](repeating: 0, count: configuration.diffusionSteps * configuration.scalarCount)
    timesteps.withUnsafeMutableBufferPointer { memory in
      for timestep in 0..<configuration.diffusionSteps {
        guard let base = memory.baseAddress else { return }
        Self.embed(
          Float(timestep) * configuration.stepScale, frequencies,
          to: base + timestep * configuration.scalarCount)
      }
    }
    self.timesteps = timesteps
  }

  private static func embed(_ x: Float, _ frequencies: [Float], to output: UnsafeMutablePointer<Float>) {
    for (i, frequency) in frequencies.enumerated() {
      // Rounded once, as PyTorch has it; the sine of what may be millions takes more than float32.
      let angle = Double(frequency * x)
      output[i] = Float(sin(angle))
      output[frequencies.count + i] = Float(cos(angle))
    }
    output[2 * frequencies.count] = x
  }

  /// Writes the last three of an example's four scalars: metric difference, target metric and starting metric.
  ///
  /// - Parameter output: (4, embedded scalar).
  package func embed(
    startMetric: Float, targetMetric: Float, to output: UnsafeMutablePointer<Float>
  ) {
    let count = 2 * frequencies.count + 1
    for (i, x) in [targetMetric - startMetric, targetMetric, startMetric].enumerated() {
      Self.embed(x * metricScale, frequencies, to: output + (1 + i) * count)
    }
  }

  /// Writes the first of an example's four scalars: the timestep.
  ///
  /// - Parameter output: (4, embedded scalar).
  package func embed(timestep: Int, to output: UnsafeMutablePointer<Float>) {
    let count = 2 * frequencies.count + 1
    timesteps.withUnsafeBufferPointer {
      guard let base = $0.baseAddress else { return }
      output.update(from: base + timestep * count, count: count)
    }
  }
}
