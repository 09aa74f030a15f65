import CKernels
import Foundation
import Testing

@Suite struct OptimizationTests {
  @Test(arguments: Path.all) func `actions are drawn as by the naive policy`(path: Path) {
    let means = random(48, scale: 2, stream: 20)
    let noise = random(48, scale: 3, stream: 21)
    let actions = Floats(count: 48)
    let logs = Floats(count: 48)
    path.k.policy_sample(48, 0.25, means.p, noise.p, actions.p, logs.p)
    let deviation = exp(0.25) * exp(0.25)
    for i in 0..<48 {
      #expect(abs(Double(actions.p[i]) - (Double(means.p[i]) + deviation * Double(noise.p[i]))) < 2e-6)
      let z = Double(noise.p[i])
      #expect(abs(Double(logs.p[i]) - (-z * z / 2 - log(deviation) - log(2 * Double.pi) / 2)) < 5e-6)
    }
  }

  @Test(arguments: Path.all) func `advantages are the naive one's`(path: Path) {
    let steps = 7
    let environments = 32
    let count = steps * environments
    let rewards = random(count, stream: 22)
    let values = random(count + environments, scale: 3, stream: 23)
    let dones = Floats(random(count, stream: 24).array.map { $0 > 0.6 ? 1 : 0 })
    let got = Floats(count: count)
    let returns = Floats(count: count)
    path.k.advantages(steps, environments, 0.99, 0.95, rewards.p, dones.p, values.p, got.p, returns.p)

    // By the definition: the discounted sum of the errors up to the episode's end.
    func error(_ t: Int, _ e: Int) -> Double {
      let i = t * environments + e
      let next = dones.p[i] == 1 ? 0 : Double(values.p[i + environments])
      return Double(rewards.p[i]) + 0.99 * next - Double(values.p[i])
    }
    for e in 0..<environments {
      for t in 0..<steps {
        var expected = 0.0
        for u in t..<steps {
          expected += pow(0.99 * 0.95, Double(u - t)) * error(u, e)
          if dones.p[u * environments + e] == 1 { break }
        }
        let i = t * environments + e
        #expect(abs(Double(got.p[i]) - expected) < 1e-5)
        #expect(returns.p[i] == got.p[i] + values.p[i])
      }
    }
  }

  @Test(arguments: Path.all) func `advantages are normalised to mean 0 and deviation 1`(path: Path) {
    let x = random(512, scale: 7, stream: 25)
    let mean = x.doubles.reduce(0, +) / 512
    let deviation = (x.doubles.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 511).squareRoot()
    let expected = x.doubles.map { ($0 - mean) / (deviation + 1e-8) }
    path.k.normalize(512, x.p)
    #expect(relativeError(x.doubles, expected) < 1e-6)
  }

  @Test(arguments: Path.all, [0.5, 1e9] as [Float]) func `Adam's step is the naive one's`(
    path: Path, limit: Float
  ) {
    let count = 64
    let parameters = random(count, stream: 26)
    var expected = parameters.doubles
    let m = Floats(count: count)
    let v = Floats(count: count)
    var first = [Double](repeating: 0, count: count)
    var second = first
    var state = ck_adam(
      learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, norm_limit: limit, beta1_power: 1,
      beta2_power: 1)
    for step in 1...5 {
      let gradient = random(count, scale: Float(step), stream: UInt64(30 + step))
      path.k.adam_step(&state, count, gradient.p, parameters.p, m.p, v.p)
      let norm = gradient.doubles.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let factor = min(1, Double(limit) / (norm + 1e-6))
      for i in 0..<count {
        let g = Double(gradient.p[i]) * factor
        first[i] = 0.9 * first[i] + 0.1 * g
        second[i] = 0.999 * second[i] + 0.001 * g * g
        let divisor = (second[i] / (1 - pow(0.999, Double(step)))).squareRoot() + 1e-8
        expected[i] -= 1e-2 * first[i] / (1 - pow(0.9, Double(step))) / divisor
      }
    }
    #expect(relativeError(parameters.doubles, expected) < 2e-6)
  }
}
