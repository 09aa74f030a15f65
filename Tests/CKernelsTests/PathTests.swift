import CKernels
import Testing

/// Every kernel gives the same bits on every path.
@Suite struct PathTests {
  /// What a kernel makes on a path must be what it makes on the reference path.
  private func expectSame(_ path: Path, _ run: (ck_kernels) -> [Floats]) {
    #expect(run(path.k).map(\.bits) == run(Path.reference.k).map(\.bits))
  }

  @Test func `every path has its name`() {
    #expect(ck_kernels_named("portable") != nil)
    #expect(ck_kernels_named("") == nil)
    #expect(ck_kernels_named("AVX2") == nil)
    #expect(String(cString: ck_kernels_best().pointee.name) == Path.all[0].name)
    for path in Path.all { #expect(String(cString: path.k.name) == path.name) }
  }

  @Test(arguments: Path.all) func `every path has the same elementary functions`(path: Path) {
    let special: [Float] = [
      0, -0.0, 1, -1, 89, -89, .infinity, -.infinity, .leastNonzeroMagnitude, .leastNormalMagnitude,
    ]
    let x = Floats(random(4096, scale: 90, stream: 70).array + random(999, stream: 71).array + special)
    expectSame(path) { k in
      [k.exp, k.log, k.sin, k.cos].map { function in
        let y = x.copy
        function(x.count, x.p, y.p)
        // NaNs are one value here: which one depends on the order of operands.
        for i in 0..<y.count where y.p[i].isNaN { y.p[i] = .nan }
        return y
      }
    }
  }

  @Test(arguments: Path.all) func `every path draws the same numbers`(path: Path) {
    expectSame(path) { k in
      let uniform = Floats(count: 1003)
      let normal = Floats(count: 1003)
      k.random_uniform(1, 2, 3, 1003, uniform.p)
      k.random_normal(1, 2, 3, 1003, normal.p)
      return [uniform, normal]
    }
  }

  @Test(arguments: Path.all) func `every path runs networks to the same bits`(path: Path) {
    let parameters = random(1249, scale: 0.4, stream: 72)
    let observations = random(4 * 80, scale: 3, stream: 73)
    let noise = random(80, scale: 2, stream: 74)
    let advantages = random(80, scale: 2, stream: 75)
    let shift = random(80, scale: 0.5, stream: 76)
    expectSame(path) { k in
      let weights = packed(parameters, by: k)
      let memory = scratch()
      let means = Floats(count: 80)
      let actions = Floats(count: 80)
      let logs = Floats(count: 80)
      k.mlp_forward(weights.opaque, 80, observations.p, means.p, memory.p)
      k.policy_sample(80, -0.2, means.p, noise.p, actions.p, logs.p)
      for i in 0..<80 { logs.p[i] += shift.p[i] }
      let policy = Floats(count: 1250)
      let value = Floats(count: 1249)
      k.policy_gradient(
        weights.opaque, -0.2, 0.2, 80, observations.p, actions.p, logs.p, advantages.p, policy.p, memory.p)
      k.value_gradient(weights.opaque, 2, 80, observations.p, noise.p, value.p, memory.p)
      return [weights, means, actions, logs, policy, value]
    }
  }

  @Test(arguments: Path.all) func `every path optimizes to the same bits`(path: Path) {
    let rewards = random(16 * 32, stream: 77)
    let values = random(17 * 32, scale: 4, stream: 78)
    let dones = Floats(random(16 * 32, stream: 79).array.map { $0 > 0.8 ? 1 : 0 })
    let start = random(128, stream: 80)
    expectSame(path) { k in
      let advantages = Floats(count: 16 * 32)
      let returns = Floats(count: 16 * 32)
      k.advantages(16, 32, 0.99, 0.95, rewards.p, dones.p, values.p, advantages.p, returns.p)
      k.normalize(16 * 32, advantages.p)
      let parameters = start.copy
      let m = Floats(count: 128)
      let v = Floats(count: 128)
      var adam = ck_adam(
        learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, norm_limit: 2, beta1_power: 1,
        beta2_power: 1)
      for step in 0..<4 {
        k.adam_step(&adam, 128, random(128, stream: UInt64(81 + step)).p, parameters.p, m.p, v.p)
      }
      return [advantages, returns, parameters, m, v]
    }
  }

  @Test(arguments: Path.all) func `every path convolves to the same bits`(path: Path) {
    expectSame(path) { k in
      var pictures = Pictures(count: 3).c
      let weights = ConvolutionTests.packed(by: k)
      let (gradient, picture) = (Floats(count: 5376), Floats(count: 3072))
      let (parameters, velocity) = (random(5376, stream: 205), random(5376, stream: 206))
      var sgd = ck_sgd(learning_rate: 0.1, momentum: 0.9, weight_decay: 5e-4)
      let scratch = ConvolutionTests.scratch()
      k.cnn_picture(&pictures, ck_crop(picture: 2, flip: 1, row: 1, column: 6), picture.p)
      let trained = k.cnn_gradient(
        weights.opaque, &pictures, 3, ConvolutionTests.crops(3), gradient.p, scratch.p)
      let tested = k.cnn_evaluate(weights.opaque, &pictures, 3, scratch.p)
      k.sgd_step(&sgd, 5376, gradient.p, parameters.p, velocity.p)
      let outcomes = Floats([trained.loss, trained.error, tested.loss, tested.error])
      return [weights, picture, gradient, parameters, velocity, outcomes]
    }
  }

  @Test(arguments: Path.all) func `every path moves the cart to the same bits`(path: Path) {
    let start = random(4 * 32, stream: 90)
    expectSame(path) { k in
      var constants = CartpoleTests.published
      let state = start.copy
      let (steps, returns) = (Floats(count: 32), Floats(count: 32))
      let (rewards, dones) = (Floats(count: 32), Floats(count: 32))
      for step in 0..<20 {
        steps.p.withMemoryRebound(to: Int32.self, capacity: 32) {
          k.cartpole_step(
            &constants, 32, random(32, scale: 0.2, stream: UInt64(100 + step)).p, state.p, $0, returns.p,
            rewards.p, dones.p)
        }
      }
      let observations = Floats(count: 128)
      k.cartpole_observe(32, 5, state.p, observations.p)
      return [state, steps, returns, rewards, dones, observations]
    }
  }

  @Test(arguments: Path.all) func `every path classifies to the same bits`(path: Path) {
    let images = MadeUpImages(50, stream: 8)
    let start = random(7960, scale: 0.1, stream: 95)
    expectSame(path) { k in
      let network = MNISTTests.network(start, by: k)
      var outcomes: [Float] = []
      for step in 0..<4 {
        let batch = (0..<32).map { UInt32(($0 * 3 + step * 11) % 50) }
        let train = MNISTTests.step(network, images, batch, rate: 0.05, momentum: 0.9, decay: 5e-4, by: k)
        let test = MNISTTests.evaluate(network, images, by: k)
        outcomes += [train.loss, train.error, test.loss, test.error]
      }
      return [MNISTTests.parameters(of: network, by: k), Floats(outcomes)]
    }
  }
}
