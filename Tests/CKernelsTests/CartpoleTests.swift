import CKernels
import Foundation
import Testing

@Suite struct CartpoleTests {
  static let published = ck_cartpole(
    cart_mass: 1, pole_mass: 1, arm: 0.47, inertia: Float(1.0036 / 12 + 0.47 * 0.47), gravity: 9.81,
    force: 400,
    substep: 0.0083, substeps: 2, cart_speed_limit: 100, pole_speed_limit: 8, position_limit: 3,
    angle_limit: Float(Double.pi / 2), cart_speed_penalty: 0.01, pole_speed_penalty: 0.005, fall_reward: -2,
    episode_steps: 499)

  /// 16 environments, all with the same state.
  final class World {
    let state: Floats
    let actions = Floats(count: 16)
    let returns = Floats(count: 16)
    let rewards = Floats(count: 16)
    let dones = Floats(count: 16)
    let steps = Floats(count: 16)
    var constants: ck_cartpole

    init(_ constants: ck_cartpole, x: Float = 0, v: Float = 0, angle: Float = 0, spin: Float = 0) {
      self.constants = constants
      state = Floats([x, v, angle, spin].flatMap { [Float](repeating: $0, count: 16) })
    }

    func step(_ path: Path, action: Float = 0) {
      for i in 0..<16 { actions.p[i] = action }
      steps.p.withMemoryRebound(to: Int32.self, capacity: 16) {
        path.k.cartpole_step(
          &constants, 16, actions.p, state.p, $0, returns.p, rewards.p, dones.p)
      }
    }

    /// The numbers of the last environment.
    var now: [Double] { (0..<4).map { Double(state.p[16 * $0 + 15]) } }

    /// Of a cart and of a box that moves, turns and has a height: no equation of motion goes into it.
    var energy: Double {
      let arm = 0.47
      let (v, angle, spin) = (now[1], now[2], now[3])
      let vx = v + arm * cos(angle) * spin
      let vy = -arm * sin(angle) * spin
      return 0.5 * v * v + 0.5 * (vx * vx + vy * vy) + 0.5 * 1.0036 / 12 * spin * spin
        + 9.81 * arm * cos(angle)
    }

    var momentum: Double { 2 * now[1] + 0.47 * cos(now[2]) * now[3] }
  }

  /// Without a force, energy and horizontal momentum stay; the error shrinks with the step.
  @Test(arguments: Path.all) func `conserves energy and momentum`(path: Path) {
    var constants = Self.published
    constants.substep = 1e-4
    constants.substeps = 50
    let world = World(constants, v: 0.3, angle: 0.4, spin: -0.5)
    let (energy, momentum) = (world.energy, world.momentum)
    for _ in 0..<60 { world.step(path) }
    #expect(world.now[2].magnitude > 0.5)
    #expect(abs(world.energy - energy) < 2e-3)
    #expect(abs(world.momentum - momentum) < 2e-3)
  }

  /// What a force adds to the energy is its work, and to the momentum its impulse.
  @Test(arguments: Path.all) func `forces do work`(path: Path) {
    var constants = Self.published
    constants.substep = 1e-5
    constants.substeps = 100
    let world = World(constants, angle: 0.2)
    let (energy, momentum, start) = (world.energy, world.momentum, world.now[0])
    for _ in 0..<20 { world.step(path, action: 0.05) }
    let work = 20 * (world.now[0] - start)
    #expect(abs((world.energy - energy) / work - 1) < 5e-3)
    #expect(abs((world.momentum - momentum) / (20 * 0.02) - 1) < 2e-3)
  }

  /// The published step, against the equations solved as a linear system in Double.
  @Test(arguments: Path.all) func `steps as the published system`(path: Path) {
    for (i, action) in ([-3, -0.7, 0, 0.01, 0.9, 2] as [Float]).enumerated() {
      let start = random(4, scale: 1, stream: UInt64(50 + i)).array
      let world = World(Self.published, x: start[0], v: start[1], angle: start[2], spin: start[3])
      world.step(path, action: action)
      var (x, v, a, w) = (Double(start[0]), Double(start[1]), Double(start[2]), Double(start[3]))
      let force = 400 * Double(min(max(action, -1), 1))
      let inertia = 1.0036 / 12 + 0.47 * 0.47
      for _ in 0..<2 {
        let (a11, a12, a22) = (2.0, 0.47 * cos(a), inertia)
        let (b1, b2) = (force + 0.47 * sin(a) * w * w, 0.47 * 9.81 * sin(a))
        let determinant = a11 * a22 - a12 * a12
        v = min(max(v + 0.0083 * (b1 * a22 - a12 * b2) / determinant, -100), 100)
        w = min(max(w + 0.0083 * (a11 * b2 - a12 * b1) / determinant, -8), 8)
        x += 0.0083 * v
        a += 0.0083 * w
      }
      for (got, expected) in zip(world.now, [x, v, a, w]) { #expect(abs(got - expected) < 1e-5) }
      let fallen = abs(x) > 3 || abs(a) > Double.pi / 2
      let reward = fallen ? -2 : 1 - a * a - 0.01 * abs(v) - 0.005 * abs(w)
      #expect(abs(Double(world.rewards.p[15]) - reward) < 1e-5)
      #expect(world.dones.p[15] == (fallen ? 1 : 0))
    }
  }

  @Test(arguments: Path.all) func `ends episodes`(path: Path) {
    let cases: [(Float, Float, Bool)] = [
      (2.9, 0, false), (3.1, 0, true), (-3.1, 0, true), (0, 1.5, false), (0, -1.6, true),
    ]
    for (x, angle, ends) in cases {
      let world = World(Self.published, x: x, angle: angle)
      world.step(path)
      #expect(world.dones.p[0] == (ends ? 1 : 0))
      #expect((world.rewards.p[0] == -2) == ends)
    }
    var short = Self.published
    short.episode_steps = 3
    let world = World(short)
    for step in 1...3 {
      world.step(path)
      #expect(world.dones.p[0] == (step == 3 ? 1 : 0))
      // Upright and at rest, every step earns 1.
      #expect(world.returns.p[0] == Float(step))
    }
  }

  /// Neither the cart nor the pole gets faster than the joints allow, whatever pushes them.
  @Test(arguments: Path.all) func `limits speeds`(path: Path) {
    for side in [1, -1] as [Float] {
      let cart = World(Self.published, v: side * 99.5)
      cart.step(path, action: side)
      #expect(cart.now[1] == Double(side) * 100)
      let pole = World(Self.published, angle: 0, spin: side * 7.9)
      pole.step(path, action: -side)
      #expect(pole.now[3] == Double(side) * 8)
    }
  }

  @Test(arguments: Path.all) func `observes position, velocity, angle and its velocity`(path: Path) {
    let state = random(64, scale: 9, stream: 60)
    let observations = Floats(count: 64)
    path.k.cartpole_observe(16, 5, state.p, observations.p)
    for i in 0..<16 {
      for c in 0..<4 { #expect(observations.p[4 * i + c] == min(max(state.p[16 * c + i], -5), 5)) }
    }
  }
}
