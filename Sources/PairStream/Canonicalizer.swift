public import Corpus
import VectorKernels

/// Puts the hidden units of networks into the order of ``PairStreamOptions/Augmentation/canonical``: for starts that come
/// from elsewhere than the stream. It serves one thread.
public final class Canonicalizer {
  private let order: UnitOrder
  private let permuter: UnitPermuter
  private let copy: AlignedBuffer<Float>

  /// - Throws: `invalidArgument` where the corpus declares no permutation groups.
  public init(_ corpus: CorpusDirectory) throws(CorpusError) {
    let architecture = corpus.manifest.architecture
    guard let groups = architecture.permutations, !groups.isEmpty else {
      throw PairStream.refusal(of: .canonical, corpus, groups: architecture.permutations)
    }
    let hidden = HiddenLayers(architecture)
    order = UnitOrder(hidden)
    permuter = UnitPermuter(hidden, parameterCount: architecture.parameterCount, scale: 1)
    copy = AlignedBuffer(count: architecture.parameterCount)
  }

  /// Reorders one network in place: (P).
  public func apply(to parameters: UnsafeMutablePointer<Float>) {
    copy.base.update(from: parameters, count: copy.count)
    order.canonicalize(copy.base)
    permuter.copy(order, from: copy.base, to: parameters)
  }
}
