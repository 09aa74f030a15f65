internal import CKernels
import VectorKernels

/// Adam as `torch.optim.Adam` has it, with the defaults of its betas (0.9, 0.999) and epsilon (1e-8), on a vector of
/// parameters.
final class Adam {
  /// (P), then zeros up to whole vectors: what the next step goes along.
  let gradient: AlignedBuffer<Float>
  private let parameters: AlignedBuffer<Float>
  private let firstMoment: AlignedBuffer<Float>
  private let secondMoment: AlignedBuffer<Float>
  private let kernels: Kernels
  private var state: ck_adam

  init(_ parameters: [Float], kernels: Kernels, learningRate: Double) {
    let count = ck_padded(parameters.count)
    gradient = AlignedBuffer(count: count)
    self.parameters = AlignedBuffer(count: count)
    firstMoment = AlignedBuffer(count: count)
    secondMoment = AlignedBuffer(count: count)
    self.kernels = kernels
    state = ck_adam(
      learning_rate: Float(learningRate), beta1: 0.9, beta2: 0.999, epsilon: 1e-8, norm_limit: .infinity,
      beta1_power: 1, beta2_power: 1)
    for (i, parameter) in parameters.enumerated() { self.parameters.base[i] = parameter }
  }

  /// Takes a step.
  ///
  /// - Returns: the parameters after it, valid until the next step.
  func step() -> UnsafePointer<Float> {
    kernels.functions.adam_step(
      &state, gradient.count, gradient.base, parameters.base, firstMoment.base, secondMoment.base)
    return UnsafePointer(parameters.base)
  }
}
