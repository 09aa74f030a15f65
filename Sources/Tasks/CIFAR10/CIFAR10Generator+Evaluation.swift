internal import CKernels
public import Corpus
public import Datasets
import VectorKernels

extension CIFAR10Generator: Evaluator {
  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.cifar10(in: datasets)
    try self.init(CIFAR10Recipe(dataset: dataset.identity), dataset: dataset)
  }

  /// Of all test images.
  public var evaluatedMetrics: [Metric] { [.testLoss, .testError] }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    precondition(network.count == architecture.parameterCount)
    let packed = AlignedBuffer<UInt8>(count: Int(CK_CNN_BYTES))
    let scratch = AlignedBuffer<UInt8>(count: Int(CK_CNN_SCRATCH_BYTES))
    kernels.functions.cnn_pack(network, OpaquePointer(packed.base))
    var view = images.test.view(means: settings.pixelMeans, deviations: settings.pixelDeviations)
    let outcome = kernels.functions.cnn_evaluate(
      OpaquePointer(packed.base), &view, images.test.count, scratch.base)
    return [outcome.loss, outcome.error]
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let parameters = CIFAR10Trainer.initialParameters(kernels: kernels, seed: seed)
    return withExtendedLifetime(parameters) {
      Array(UnsafeBufferPointer(start: $0.base, count: architecture.parameterCount))
    }
  }
}
