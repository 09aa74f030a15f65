import Tasks
import Corpus
import Testing
import VectorKernels

/// The initial biases of Cartpole's policy and value function: PyTorch's default, or 0 as in version 1.
@Suite struct CartpoleBiasTests {
  /// The biases of a network's three layers within its parameters, and how far from 0 they may be.
  static let layers: [(range: Range<Int>, bound: Float)] = [
    (128..<160, 0.5), (1184..<1216, 0.176776695), (1248..<1249, 0.176776695),
  ]

  private func networks(seeds: Range<UInt64>, _ biases: CartpoleRecipe.BiasInitialization?) throws
    -> (policies: [[Float]], values: [[Float]])
  {
    let kernels = try Kernels(environment: [:])
    var result: (policies: [[Float]], values: [[Float]]) = ([], [])
    for seed in seeds {
      var initialization =
        if let biases {
          OrthogonalInitialization(kernels: kernels, seed: seed, biases: biases)
        } else {
          OrthogonalInitialization(kernels: kernels, seed: seed)
        }
      result.policies.append(initialization.network(hiddenGain: 2, outputGain: 1))
      result.values.append(initialization.network(hiddenGain: 2, outputGain: 1))
    }
    return result
  }

  @Test func `biases are uniform within 1 by the root of a layer's inputs`() throws {
    let (policies, values) = try networks(seeds: 0..<400, nil)
    for networks in [policies, values] {
      for (range, bound) in Self.layers {
        let all = networks.flatMap { $0[range] }
        let count = Double(all.count)
        #expect(all.allSatisfy { $0.magnitude <= bound })
        #expect(try #require(all.max()) > 0.97 * bound && #require(all.min()) < -0.97 * bound)
        let mean = all.reduce(0) { $0 + Double($1 / bound) } / count
        let square = all.reduce(0) { $0 + Double($1 / bound) * Double($1 / bound) } / count
        // Five standard errors of a uniform number's mean and square.
        #expect(abs(mean) < 5 * (1 / (3 * count)).squareRoot())
        #expect(abs(square - 1 / 3) < 5 * (4 / (45 * count)).squareRoot())
      }
    }
    #expect(Set((policies + values).map { Array($0[128..<160]) }).count == 800)
  }

  @Test func `a run begins with them, and without them after an older recipe`() throws {
    var recipe = smallRecipe(iterations: 1, checkpoints: 2)
    func biases(_ recipe: CartpoleRecipe) throws -> [[Float]] {
      let task = try CartpoleTask(recipe)
      let run = try #require(try task.generate(seed: 3, isCancelled: { false }))
      #expect(task.initialNetwork(seed: 3) == Array(run.parameters.prefix(1250)))
      return try ["actor.0.bias", "actor.2.bias", "actor.4.bias"].map {
        Array(run.parameters[try #require(task.architecture.range(of: $0))])
      }
    }
    let published = try biases(recipe)
    #expect(published.allSatisfy { $0.allSatisfy { $0 != 0 } })
    recipe.biasInitialization = .zero
    #expect(try biases(recipe).allSatisfy { $0.allSatisfy { $0 == 0 } })
    recipe.biasInitialization = nil
    #expect(try biases(recipe).allSatisfy { $0.allSatisfy { $0 == 0 } })
  }

  @Test func `weights are the same with and without biases`() throws {
    let with = try networks(seeds: 5..<6, .default)
    let without = try networks(seeds: 5..<6, .zero)
    for (a, b) in [(with.policies[0], without.policies[0]), (with.values[0], without.values[0])] {
      for i in a.indices where !Self.layers.contains(where: { $0.range.contains(i) }) {
        #expect(a[i] == b[i])
      }
    }
  }

  @Test func `a recipe without the member is one of version 1`() throws {
    var recipe = CartpoleRecipe()
    #expect(try CanonicalJSON.value(recipe)["bias_initialization"] == .string("default"))
    recipe.biasInitialization = nil
    let old = try CanonicalJSON.value(recipe)
    #expect(old["bias_initialization"] == nil)
    #expect(try old.decoded(as: CartpoleRecipe.self, task: "cartpole").biasInitialization == nil)
    #expect(try CartpoleTask().asOf(version: 1).recipe == old)
    #expect(try CartpoleTask().asOf(version: 2).recipe == CartpoleTask().recipe)
  }
}
