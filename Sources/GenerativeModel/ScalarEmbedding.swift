import Foundation

/// How the model sees numbers: [sin(f x), cos(f x), x] with frequencies f from 1 to 2^octaves.
struct ScalarEmbedding: Sendable {
  private let frequencies: [Float]
  private let stepScale: Float
  private let metricScale: Float
  /// The embeddings of all diffusion steps one after the other.
  private let steps: [Float]

  init(_ configuration: ModelConfiguration) {
    let count = configuration.frequencies
    let frequencies = (0..<count).map {
      Float(exp2(configuration.octaves * Double($0) / Double(max(1, count - 1))))
    }
    self.frequencies = frequencies
    stepScale = configuration.stepScale
    metricScale = configuration.metricScale
    var steps = [Float](repeating: 0, count: configuration.diffusionSteps * configuration.scalarCount)
    steps.withUnsafeMutableBufferPointer { memory in
      for step in 0..<configuration.diffusionSteps {
        guard let base = memory.baseAddress else { return }
        Self.embed(
          Float(step) * configuration.stepScale, frequencies, to: base + step * configuration.scalarCount)
      }
    }
    self.steps = steps
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

  /// The four scalars of an example: diffusion step, metric difference, target metric, starting metric.
  func embed(
    startMetric: Float, targetMetric: Float, to output: UnsafeMutablePointer<Float>
  ) {
    let count = 2 * frequencies.count + 1
    for (i, x) in [targetMetric - startMetric, targetMetric, startMetric].enumerated() {
      Self.embed(x * metricScale, frequencies, to: output + (1 + i) * count)
    }
  }

  /// Sets the first of them alone.
  func embed(step: Int, to output: UnsafeMutablePointer<Float>) {
    let count = 2 * frequencies.count + 1
    steps.withUnsafeBufferPointer {
      guard let base = $0.baseAddress else { return }
      output.update(from: base + step * count, count: count)
    }
  }
}
