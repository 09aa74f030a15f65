internal import CKernels
import VectorKernels

/// The policy and the value function: parameters, their packed copies and the optimizer's state.
struct CartpoleNetworks: ~Copyable {
  static let policyCount = Int(CK_POLICY_PARAMETERS)
  private static let valueCount = Int(CK_MLP_PARAMETERS)
  /// Both together, padded with zeros to whole vectors.
  private static let paddedCount = (policyCount + valueCount + 15) / 16 * 16

  private let kernels: Kernels
  private let recipe: CartpoleRecipe
  private let parameters = AlignedBuffer<Float>(count: paddedCount)
  private let gradient = AlignedBuffer<Float>(count: paddedCount)
  private let moments1 = AlignedBuffer<Float>(count: paddedCount)
  private let moments2 = AlignedBuffer<Float>(count: paddedCount)
  private let scratch = AlignedBuffer<UInt8>(count: Int(CK_SCRATCH_BYTES))
  private var adam: ck_adam
  private let policyPacked = AlignedBuffer<UInt8>(count: Int(CK_MLP_BYTES))
  private let valuePacked = AlignedBuffer<UInt8>(count: Int(CK_MLP_BYTES))

  /// Networks as training begins with.
  init(recipe: CartpoleRecipe, kernels: Kernels, seed: UInt64) {
    var initialization = OrthogonalInitialization(
      kernels: kernels, seed: seed, biases: recipe.biasInitialization ?? .zero)
    let policy = initialization.network(hiddenGain: recipe.hiddenGain, outputGain: recipe.policyGain)
    let value = initialization.network(hiddenGain: recipe.hiddenGain, outputGain: recipe.valueGain)
    self.init(
      recipe: recipe, kernels: kernels, policy: [Float(recipe.initialLogStd)] + policy, value: value)
  }

  /// Given networks: the stored parameters of a policy, and those of a value function; zeros where there are none.
  init(recipe: CartpoleRecipe, kernels: Kernels, policy: [Float], value: [Float] = []) {
    precondition(policy.count == Self.policyCount && value.count <= Self.valueCount)
    self.recipe = recipe
    self.kernels = kernels
    adam = ck_adam(
      learning_rate: 0, beta1: Float(recipe.adamBeta1), beta2: Float(recipe.adamBeta2),
      epsilon: Float(recipe.adamEpsilon), norm_limit: Float(recipe.gradientNormLimit), beta1_power: 1,
      beta2_power: 1)
    for (i, parameter) in (policy + value).enumerated() { parameters.base[i] = parameter }
    pack()
  }

  /// The stored parameter vector: log_std and the policy's network.
  var policyParameters: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: parameters.base, count: Self.policyCount)
  }

  var logStd: Float { parameters.base[0] }

  /// The policy's means (count) at observations (count, 4).
  mutating func means(
    count: Int, observations: UnsafePointer<Float>, into means: UnsafeMutablePointer<Float>
  ) {
    kernels.functions.mlp_forward(OpaquePointer(policyPacked.base), count, observations, means, scratch.base)
  }

  /// The value function (count) at observations (count, 4).
  mutating func values(
    count: Int, observations: UnsafePointer<Float>, into values: UnsafeMutablePointer<Float>
  ) {
    kernels.functions.mlp_forward(OpaquePointer(valuePacked.base), count, observations, values, scratch.base)
  }

  /// One optimizer step on samples `range` of a rollout.
  mutating func update(on rollout: borrowing CartpoleRollout, range: Range<Int>, learningRate: Double) {
    let start = range.lowerBound
    let observations = rollout.observations.base + 4 * start
    kernels.functions.policy_gradient(
      OpaquePointer(policyPacked.base), logStd, Float(recipe.clip), range.count, observations,
      rollout.actions.base + start,
      rollout.logProbabilities.base + start, rollout.advantages.base + start, gradient.base, scratch.base)
    kernels.functions.value_gradient(
      OpaquePointer(valuePacked.base), Float(recipe.valueCoefficient), range.count, observations,
      rollout.returns.base + start,
      gradient.base + Self.policyCount, scratch.base)
    adam.learning_rate = Float(learningRate)
    kernels.functions.adam_step(
      &adam, Self.paddedCount, gradient.base, parameters.base, moments1.base, moments2.base)
    pack()
  }

  private mutating func pack() {
    kernels.functions.mlp_pack(parameters.base + 1, OpaquePointer(policyPacked.base))
    kernels.functions.mlp_pack(parameters.base + Self.policyCount, OpaquePointer(valuePacked.base))
  }
}
