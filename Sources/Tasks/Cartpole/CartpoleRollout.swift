internal import CKernels
import VectorKernels

/// What the environments went through in one iteration: arrays (steps, environments), whose flattening is the
/// order of the minibatches.
struct CartpoleRollout: ~Copyable {
  let steps: Int
  let environments: Int
  /// (steps, environments, 4), and one more step for the states reached.
  let observations: AlignedBuffer<Float>
  /// Before clipping, as are the probabilities.
  let actions: AlignedBuffer<Float>
  let logProbabilities: AlignedBuffer<Float>
  let advantages: AlignedBuffer<Float>
  let returns: AlignedBuffer<Float>
  private let rewards: AlignedBuffer<Float>
  private let dones: AlignedBuffer<Float>
  /// (steps + 1, environments).
  private let values: AlignedBuffer<Float>
  /// (environments).
  private let means: AlignedBuffer<Float>
  private let noise: AlignedBuffer<Float>

  init(steps: Int, environments: Int) {
    self.steps = steps
    self.environments = environments
    let count = steps * environments
    observations = AlignedBuffer(count: 4 * (count + environments))
    actions = AlignedBuffer(count: count)
    logProbabilities = AlignedBuffer(count: count)
    advantages = AlignedBuffer(count: count)
    returns = AlignedBuffer(count: count)
    rewards = AlignedBuffer(count: count)
    dones = AlignedBuffer(count: count)
    values = AlignedBuffer(count: count + environments)
    means = AlignedBuffer(count: environments)
    noise = AlignedBuffer(count: environments)
  }

  /// The number of samples.
  var count: Int { steps * environments }

  /// Lets the policy act for all steps.
  ///
  /// - Parameters:
  ///   - noiseStart: How many steps the stream of action noise has served.
  ///   - onEnd: As in ``CartpoleEnvironment/step(actions:rewards:dones:onEnd:)``.
  func collect(
    networks: inout CartpoleNetworks, environment: inout CartpoleEnvironment, kernels: Kernels, seed: UInt64,
    stream: CartpoleStream, noiseStart: Int, onEnd: (_ environment: Int, _ return: Float) -> Void
  ) {
    environment.observe(into: observations.base)
    for t in 0..<steps {
      let row = t * environments
      networks.means(count: environments, observations: observations.base + 4 * row, into: means.base)
      kernels.functions.random_normal(
        seed, stream.rawValue, UInt64((noiseStart + t) * (environments / 4)), environments, noise.base)
      kernels.functions.policy_sample(
        environments, networks.logStd, means.base, noise.base, actions.base + row, logProbabilities.base + row
      )
      environment.step(
        actions: actions.base + row, rewards: rewards.base + row, dones: dones.base + row, onEnd: onEnd)
      environment.observe(into: observations.base + 4 * (row + environments))
    }
  }

  /// Judges the steps: advantages, normalized over the rollout, and the returns that the value function
  /// should have foretold.
  func estimate(networks: inout CartpoleNetworks, gamma: Double, lambda: Double, kernels: Kernels) {
    networks.values(count: count + environments, observations: observations.base, into: values.base)
    kernels.functions.advantages(
      steps, environments, Float(gamma), Float(lambda), rewards.base, dones.base, values.base,
      advantages.base,
      returns.base)
    kernels.functions.normalize(count, advantages.base)
  }
}
