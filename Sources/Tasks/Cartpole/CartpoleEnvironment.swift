internal import CKernels
internal import Corpus
import VectorKernels

/// All environments of a run, stepped together. An environment whose episode ends starts the next at once.
struct CartpoleEnvironment: ~Copyable {
  let count: Int
  private let kernels: Kernels
  private let physics: CartpolePhysics
  private var constants: ck_cartpole
  private let key: SIMD2<UInt32>
  private let stream: UInt64
  /// (4, count): cart position and velocity, pole angle and velocity.
  private let state: AlignedBuffer<Float>
  private let steps: AlignedBuffer<Int32>
  private let returns: AlignedBuffer<Float>
  /// The steps that all environments have taken.
  private var stepsTaken: UInt64 = 0

  init(count: Int, physics: CartpolePhysics, kernels: Kernels, seed: UInt64, stream: CartpoleStream) {
    self.count = count
    self.kernels = kernels
    self.physics = physics
    constants = ck_cartpole(physics)
    key = Philox.key(seed: seed)
    self.stream = stream.rawValue
    state = AlignedBuffer(count: 4 * count)
    steps = AlignedBuffer(count: count)
    returns = AlignedBuffer(count: count)
    for environment in 0..<count { reset(environment) }
  }

  /// The observations (count, 4) of the present states.
  func observe(into observations: UnsafeMutablePointer<Float>) {
    kernels.functions.cartpole_observe(count, Float(physics.observationLimit), state.base, observations)
  }

  /// One step of every environment.
  ///
  /// - Parameters:
  ///   - actions: (count), clipped to [-1, 1] here.
  ///   - rewards: Receives (count).
  ///   - dones: Receives (count): 1 where an episode ended, else 0.
  ///   - onEnd: Called with each environment whose episode ended and the episode's return.
  mutating func step(
    actions: UnsafePointer<Float>, rewards: UnsafeMutablePointer<Float>, dones: UnsafeMutablePointer<Float>,
    onEnd: (_ environment: Int, _ return: Float) -> Void
  ) {
    kernels.functions.cartpole_step(
      &constants, count, actions, state.base, steps.base, returns.base, rewards, dones)
    stepsTaken += 1
    for environment in 0..<count where dones[environment] != 0 {
      onEnd(environment, returns.base[environment])
      reset(environment)
    }
  }

  /// Starts an episode: the block of random numbers belongs to the step and the environment, so that no
  /// environment's past has a say in another's.
  private func reset(_ environment: Int) {
    let b = stepsTaken * UInt64(count) + UInt64(environment)
    let words = Philox.block(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: b), UInt32(truncatingIfNeeded: b >> 32),
        UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)), key: key)
    for component in 0..<4 {
      let limit = Float(component.isMultiple(of: 2) ? physics.resetPosition : physics.resetVelocity)
      state.base[component * count + environment] = limit * (Float(words[component] >> 8) * 0x1p-23 - 1)
    }
    steps.base[environment] = 0
    returns.base[environment] = 0
  }
}

extension ck_cartpole {
  /// The constants of the equations of motion.
  init(_ physics: CartpolePhysics) {
    let size = physics.poleLength * physics.poleLength + physics.poleWidth * physics.poleWidth
    let arm = physics.poleCenter * physics.poleCenter
    self.init(
      cart_mass: Float(physics.cartMass), pole_mass: Float(physics.poleMass), arm: Float(physics.poleCenter),
      // A box about its centre, moved to the hinge by Steiner's theorem.
      inertia: Float(physics.poleMass * (size / 12 + arm)), gravity: Float(physics.gravity),
      force: Float(physics.force), substep: Float(physics.timeStep / Double(physics.substeps)),
      substeps: Int32(physics.substeps), cart_speed_limit: Float(physics.cartSpeedLimit),
      pole_speed_limit: Float(physics.poleSpeedLimit), position_limit: Float(physics.positionLimit),
      angle_limit: Float(physics.angleLimit), cart_speed_penalty: Float(physics.cartSpeedPenalty),
      pole_speed_penalty: Float(physics.poleSpeedPenalty), fall_reward: Float(physics.fallReward),
      episode_steps: Int32(physics.episodeSteps))
  }
}
