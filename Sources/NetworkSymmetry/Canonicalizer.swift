public import Corpus
import VectorKernels

/// Puts the hidden units of networks into the order that depends on what they compute alone: a pair stream's augmentation
/// `canonical`, for starts that come from elsewhere. It serves one thread.
public final class Canonicalizer {
  private let order: UnitOrder
  private let permuter: UnitPermuter
  private let copy: AlignedBuffer<Float>

  /// Nil where the architecture declares no permutation groups.
  ///
  /// - Throws: `resource` if the environment variable `CORPUS_KERNELS` names kernels that this processor lacks.
  public init?(_ architecture: Architecture) throws(CorpusError) {
    guard architecture.permutations?.isEmpty == false else { return nil }
    let (hidden, kernels) = (HiddenLayers(architecture), try Kernels())
    order = UnitOrder(hidden, kernels: kernels)
    permuter = UnitPermuter(
      hidden, parameterCount: architecture.parameterCount, scale: 1, kernels: kernels)
    copy = AlignedBuffer(count: architecture.parameterCount)
  }

  /// Reorders one network in place: (P).
  public func apply(to parameters: UnsafeMutablePointer<Float>) {
    copy.base.update(from: parameters, count: copy.count)
    order.canonicalize(copy.base)
    permuter.copy(order, from: copy.base, to: parameters)
  }
}
