import Platform
import Tasks
import ArgumentParser
import Datasets
import Foundation
import VectorKernels

/// Writes down the beginning of a run, for Scripts/benchmarks/mnist_pytorch.py to make again: the initial
/// parameters, each step's images and loss, and the parameters afterwards; little endian, without headers.
struct MNISTParity: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "mnist-parity")

  @Argument var out: String
  @Option var datasets: String?
  @Option var seed: UInt64 = 0
  @Option var steps = 50

  func run() throws {
    let dataset = try ImageDataset.mnist(in: DatasetsDirectory(datasets))
    var trainer = MNISTTrainer(
      recipe: MNISTRecipe(dataset: dataset.identity), images: MNISTImages(dataset), kernels: try Kernels(),
      seed: seed)
    try Files.createDirectory(out)
    try write(trainer.network.parameters, to: "initial.f32")
    var batches: [UInt32] = []
    var losses: [Float] = []
    for _ in 0..<steps {
      losses.append(trainer.update().loss)
      batches += trainer.batch
    }
    try write(batches, to: "batches.u32")
    try write(losses, to: "losses.f32")
    try write(trainer.network.parameters, to: "after.f32")
  }

  private func write<Value: BitwiseCopyable>(_ values: [Value], to name: String) throws {
    try Files.write(values.withUnsafeBytes { Data($0) }, to: "\(out)/\(name)")
  }
}
