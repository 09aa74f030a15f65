internal import CKernels
public import Corpus
public import Datasets
import VectorKernels

extension MNISTGenerator: Evaluator {
  public init(publishedIn datasets: DatasetsDirectory) throws(CorpusError) {
    let dataset = try ImageDataset.mnist(in: datasets)
    try self.init(MNISTRecipe(dataset: dataset.identity), dataset: dataset)
  }

  /// Of all test images.
  public var evaluatedMetrics: [Metric] { [.testLoss, .testError] }

  public func evaluate(network: [Float], seed: UInt64) -> [Float] {
    precondition(network.count == architecture.parameterCount)
    let packed = AlignedBuffer<UInt8>(count: Int(CK_MNIST_BYTES))
    kernels.functions.mnist_pack(network, OpaquePointer(packed.base))
    var scale = ck_mnist_scale(settings)
    var view = images.test.view
    let outcome = kernels.functions.mnist_evaluate(
      OpaquePointer(packed.base), &scale, &view, images.test.count)
    return [outcome.loss, outcome.error]
  }

  public func initialNetwork(seed: UInt64) -> [Float] {
    let parameters = MNISTTrainer.initialParameters(kernels: kernels, seed: seed)
    return withExtendedLifetime(parameters) {
      Array(UnsafeBufferPointer(start: $0.base, count: $0.count))
    }
  }
}
