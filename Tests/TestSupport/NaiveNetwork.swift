import Foundation

/// The 4-32-32-1 network in Double, one number at a time: what the kernels are compared with.
package struct NaiveNetwork {
  static let lambda = 1.0507009873554805
  static let alpha = 1.6732632423543772

  package var parameters: [Double]

  package init(parameters: [Double]) { self.parameters = parameters }

  package struct Layer {
    package let weight: Int
    package let bias: Int
    package let inputs: Int
    package let outputs: Int
  }

  /// Where each layer's tensors lie: weight (outputs, inputs), then bias (outputs).
  package static let layers: [Layer] = {
    var start = 0
    return [(4, 32), (32, 32), (32, 1)].map { inputs, outputs in
      defer { start += (inputs + 1) * outputs }
      return Layer(weight: start, bias: start + inputs * outputs, inputs: inputs, outputs: outputs)
    }
  }()

  package static func selu(_ x: Double) -> Double { x > 0 ? lambda * x : lambda * alpha * expm1(x) }
  package static func slope(_ x: Double) -> Double { x > 0 ? lambda : lambda * alpha * exp(x) }

  /// The sums that go into each layer's units.
  private func sums(_ input: [Double]) -> [[Double]] {
    var result: [[Double]] = []
    var x = input
    for layer in Self.layers {
      let z = (0..<layer.outputs).map { j in
        (0..<layer.inputs).reduce(parameters[layer.bias + j]) {
          $0 + parameters[layer.weight + j * layer.inputs + $1] * x[$1]
        }
      }
      result.append(z)
      x = z.map(Self.selu)
    }
    return result
  }

  package func forward(_ input: [Double]) -> Double { sums(input)[2][0] }

  /// Adds to the gradient of the parameters what one sample gives, whose output has the gradient `output`.
  package func backward(_ input: [Double], output: Double, into gradient: inout [Double]) {
    let z = sums(input)
    var d = [output]
    for l in (0..<3).reversed() {
      let layer = Self.layers[l]
      let x = l == 0 ? input : z[l - 1].map(Self.selu)
      for j in 0..<layer.outputs {
        gradient[layer.bias + j] += d[j]
        for i in 0..<layer.inputs { gradient[layer.weight + j * layer.inputs + i] += d[j] * x[i] }
      }
      guard l > 0 else { break }
      d = (0..<layer.inputs).map { i in
        (0..<layer.outputs).reduce(0) { $0 + parameters[layer.weight + $1 * layer.inputs + i] * d[$1] }
          * Self.slope(z[l - 1][i])
      }
    }
  }
}

/// The loss of the policy on one sample; the network's mean and log_std are its variables.
package struct NaiveSurrogate {
  let action: Double
  let logProbability: Double
  let advantage: Double
  let clip: Double

  package init(action: Double, logProbability: Double, advantage: Double, clip: Double) {
    self.action = action
    self.logProbability = logProbability
    self.advantage = advantage
    self.clip = clip
  }

  package func loss(mean: Double, logStd: Double) -> Double {
    let deviation = exp(logStd) * exp(logStd)
    let z = (action - mean) / deviation
    let ratio = exp(-0.5 * z * z - log(deviation) - 0.5 * log(2 * Double.pi) - logProbability)
    return max(-advantage * ratio, -advantage * min(max(ratio, 1 - clip), 1 + clip))
  }

  /// Central differences in Double: the loss is smooth but for the corners of the clipping.
  package func slopes(mean: Double, logStd: Double) -> (mean: Double, logStd: Double) {
    let h = 1e-6
    return (
      (loss(mean: mean + h, logStd: logStd) - loss(mean: mean - h, logStd: logStd)) / (2 * h),
      (loss(mean: mean, logStd: logStd + h) - loss(mean: mean, logStd: logStd - h)) / (2 * h)
    )
  }
}
