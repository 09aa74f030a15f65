import CKernels
import Foundation

/// The published stochastic gradient descent in Double, given each batch's gradient: torch.optim.SGD with nesterov=True
/// and the rates of `lr_fun_cos`.
struct NaiveDescent {
  /// A rule that a test breaks, to see that it would be noticed.
  enum Rule: String, CaseIterable, Sendable {
    case learningRate, momentum, nesterov, weightDecay, decayOfBiases, cosine, rateOfEpoch, momentumOverEpochs
  }

  var parameters: [Double]
  let epochs: Int
  let stepsPerEpoch: Int
  /// Whether a parameter is a bias.
  let isBias: (Int) -> Bool
  let broken: Rule?
  private var velocity: [Double]
  private var steps = 0

  init(
    _ parameters: [Double], epochs: Int, stepsPerEpoch: Int, breaking broken: Rule?,
    isBias: @escaping (Int) -> Bool
  ) {
    (self.parameters, self.epochs, self.stepsPerEpoch) = (parameters, epochs, stepsPerEpoch)
    (self.broken, self.isBias) = (broken, isBias)
    velocity = [Double](repeating: 0, count: parameters.count)
  }

  private var rate: Double {
    let base = broken == .learningRate ? 0.09 : 0.1
    if broken == .cosine { return base }
    let epoch =
      broken == .rateOfEpoch ? Double(steps) / Double(stepsPerEpoch) : Double(steps / stepsPerEpoch)
    return 0.5 * base * (1 + cos(Double.pi * epoch / Double(epochs)))
  }

  mutating func step(_ gradient: [Double]) {
    if broken == .momentumOverEpochs && steps.isMultiple(of: stepsPerEpoch) {
      velocity = [Double](repeating: 0, count: parameters.count)
    }
    let beta = broken == .momentum ? 0.85 : 0.9
    for i in parameters.indices {
      let isDecayed = broken != .weightDecay && !(broken == .decayOfBiases && isBias(i))
      let g = gradient[i] + (isDecayed ? 5e-4 * parameters[i] : 0)
      velocity[i] = beta * velocity[i] + g
      parameters[i] -= rate * (broken == .nesterov ? velocity[i] : g + beta * velocity[i])
    }
    steps += 1
  }
}
