public import Evaluation
public import GenerativeModel
public import Corpus
import NetworkSymmetry
import PairSampling
import Platform
import VectorKernels

/// Looks at a model's samples: the landscape around them, walks, and policies.
public struct SampleViewer: Sendable {
  let model: Sampler
  let measurer: TaskMeasurer
  /// Of the model's corpus; nil where it is not at hand: starts are random then, and no runs are shown.
  let reader: StartReader?
  let sampling: SamplingOptions
  let workers: Int

  /// - Throws: never a missing evaluator: who has a measurer has one.
  public init(
    _ model: Sampler, measurer: TaskMeasurer, reader: StartReader?, sampling: SamplingOptions, workers: Int
  ) {
    (self.model, self.measurer, self.reader) = (model, measurer, reader)
    (self.sampling, self.workers) = (sampling, workers)
  }

  /// The first checkpoints of held-out runs, where the corpus has some; else random networks, as runs begin with.
  public func starts(_ count: Int) throws(CorpusError) -> [Start] {
    let heldOut = try reader?.initialStarts(count, split: "test") ?? []
    return heldOut.isEmpty ? try measurer.randomStarts(count, seed: sampling.seed) : heldOut
  }

  /// Draws a network for each prompt.
  func sample(
    _ prompts: [(start: Start, target: Float)], noise: [SamplingNoise]?, _ cancellation: Cancellation,
    progress: (Int) -> Void
  ) throws(CorpusError) -> [[Float]] {
    try model.sample(
      prompts.map {
        Prompt(start: $0.start.parameters, startMetric: $0.start.metric, targetMetric: $0.target)
      }, noise: noise, options: sampling, workers: workers, cancellation: cancellation, progress: progress)
  }

  /// Whether samples have their hidden units in the canonical order of their start.
  var isCanonical: Bool {
    model.description.training.augmentation == PairStreamOptions.Augmentation.canonical.rawValue
  }

  /// Networks with their hidden units where the model has them: as they are, or in the canonical order of the first.
  func ordered(_ networks: [[Float]]) throws(CorpusError) -> [[Float]] {
    guard isCanonical, let first = networks.first else { return networks }
    let (hidden, kernels) = (HiddenLayers.ofModel(model.description.architecture), try Kernels())
    let (order, count) = (UnitOrder(hidden, kernels: kernels), first.count)
    first.withUnsafeBufferPointer { if let base = $0.baseAddress { order.canonicalize(base) } }
    let permuter = UnitPermuter(hidden, parameterCount: count, scale: 1, kernels: kernels)
    return networks.map { network in
      [Float](unsafeUninitializedCapacity: count) { output, written in
        network.withUnsafeBufferPointer { input in
          guard let from = input.baseAddress, let to = output.baseAddress else { return }
          permuter.copy(order, from: from, to: to)
          written = count
        }
      }
    }
  }
}
