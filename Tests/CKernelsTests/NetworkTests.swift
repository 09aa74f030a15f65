import CKernels
import TestSupport
import Foundation
import Testing

@Suite struct NetworkTests {
  /// Full blocks, a half one, and the smallest.
  static let counts = [16, 32, 48, 96]

  private func row(_ observations: Floats, _ s: Int) -> [Double] {
    (0..<4).map { Double(observations.p[4 * s + $0]) }
  }

  @Test(arguments: Path.all, counts) func `outputs are the naive one's`(path: Path, count: Int) {
    let parameters = random(1249, scale: 0.4, stream: 10)
    let observations = random(4 * count, scale: 3, stream: 11)
    let outputs = Floats(count: count)
    path.k.mlp_forward(packed(parameters, by: path.k).opaque, count, observations.p, outputs.p, scratch().p)
    let naive = NaiveNetwork(parameters: parameters.doubles)
    #expect(relativeError(outputs.doubles, (0..<count).map { naive.forward(row(observations, $0)) }) < 1e-5)
  }

  /// SELU where it bends, saturates and overflows an exponential.
  @Test(arguments: Path.all) func `extreme activations saturate`(path: Path) {
    for scale in [1e-4, 30, 1e4] as [Float] {
      let parameters = random(1249, scale: 0.4, stream: 10)
      let observations = random(64, scale: scale, stream: 12)
      let outputs = Floats(count: 16)
      path.k.mlp_forward(packed(parameters, by: path.k).opaque, 16, observations.p, outputs.p, scratch().p)
      let naive = NaiveNetwork(parameters: parameters.doubles)
      #expect(relativeError(outputs.doubles, (0..<16).map { naive.forward(row(observations, $0)) }) < 5e-5)
    }
  }

  @Test(arguments: Path.all, counts) func `the value's gradient is the naive one's`(path: Path, count: Int) {
    let parameters = random(1249, scale: 0.4, stream: 10)
    let observations = random(4 * count, scale: 2, stream: 13)
    let returns = random(count, scale: 5, stream: 14)
    let gradient = Floats(count: 1249)
    path.k.value_gradient(
      packed(parameters, by: path.k).opaque, 2, count, observations.p, returns.p, gradient.p, scratch().p)

    let naive = NaiveNetwork(parameters: parameters.doubles)
    var expected = [Double](repeating: 0, count: 1249)
    for s in 0..<count {
      let x = row(observations, s)
      let slope = 2 * 2 * (naive.forward(x) - Double(returns.p[s])) / Double(count)
      naive.backward(x, output: slope, into: &expected)
    }
    #expect(relativeError(gradient.doubles, expected) < 1e-5)
  }

  @Test(arguments: Path.all, counts) func `the policy's gradient is the naive one's`(path: Path, count: Int) {
    let parameters = random(1249, scale: 0.4, stream: 10)
    let observations = random(4 * count, scale: 2, stream: 15)
    let advantages = random(count, scale: 2, stream: 16)
    let logStd: Float = -0.3
    let naive = NaiveNetwork(parameters: parameters.doubles)
    let means = Floats((0..<count).map { Float(naive.forward(row(observations, $0))) })
    // Old probabilities of a slightly different policy, so that some samples are clipped on either side.
    let noise = random(count, scale: 2, stream: 17)
    let shift = random(count, scale: 0.5, stream: 18)
    let actions = Floats(count: count)
    let logs = Floats(count: count)
    path.k.policy_sample(count, logStd, means.p, noise.p, actions.p, logs.p)
    for s in 0..<count { logs.p[s] += shift.p[s] }

    let gradient = Floats(count: 1250)
    path.k.policy_gradient(
      packed(parameters, by: path.k).opaque, logStd, 0.2, count, observations.p, actions.p, logs.p,
      advantages.p, gradient.p, scratch().p)

    var expected = [Double](repeating: 0, count: 1249)
    var expectedLogStd = 0.0
    for s in 0..<count {
      let x = row(observations, s)
      let surrogate = NaiveSurrogate(
        action: Double(actions.p[s]), logProbability: Double(logs.p[s]), advantage: Double(advantages.p[s]),
        clip: 0.2)
      let slopes = surrogate.slopes(mean: naive.forward(x), logStd: Double(logStd))
      naive.backward(x, output: slopes.mean / Double(count), into: &expected)
      expectedLogStd += slopes.logStd / Double(count)
    }
    #expect(relativeError(gradient.doubles, [expectedLogStd] + expected) < 2e-5)
  }

  /// The naive gradient itself, against differences of the naive loss.
  @Test func `naive gradient is the slope`() {
    let observations = random(4 * 8, scale: 2, stream: 19)
    var naive = NaiveNetwork(parameters: random(1249, scale: 0.4, stream: 10).doubles)
    var gradient = [Double](repeating: 0, count: 1249)
    for s in 0..<8 { naive.backward(row(observations, s), output: 1, into: &gradient) }
    let h = 1e-6
    for i in stride(from: 0, to: 1249, by: 7) {
      let start = naive.parameters[i]
      func total(_ value: Double) -> Double {
        naive.parameters[i] = value
        return (0..<8).reduce(0) { $0 + naive.forward(row(observations, $1)) }
      }
      let slope = (total(start + h) - total(start - h)) / (2 * h)
      naive.parameters[i] = start
      #expect(abs(slope - gradient[i]) < 1e-6)
    }
  }
}
