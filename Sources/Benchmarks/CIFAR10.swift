import ArgumentParser
import Corpus
import Datasets
import Foundation
import Generators
import VectorKernels

/// Times training and evaluation of the CIFAR-10 task apart, on one core, without storing anything.
struct CIFAR10Speed: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cifar10-speed")

  @Option var datasets: String?
  @Option var seed: UInt64 = 0
  @Option(help: "Epochs of the run, the published 50 if left out.") var epochs: Int?
  @Option(help: "Evaluations of all test images, evenly over the run.") var evaluations = 200

  func run() throws {
    let dataset = try ImageDataset.cifar10(in: DatasetsDirectory(datasets))
    var recipe = CIFAR10Recipe(dataset: dataset.identity)
    if let epochs { recipe.epochs = epochs }
    var trainer = CIFAR10Trainer(
      recipe: recipe, images: CIFAR10Images(dataset), kernels: try Kernels(), seed: seed)
    var (training, testing) = (Duration.zero, Duration.zero)
    var outcome = trainer.trainOutcome
    for evaluation in 1...max(1, evaluations) {
      let target = recipe.iterations * evaluation / max(1, evaluations)
      let began = ContinuousClock.now
      while trainer.iteration < target { trainer.step() }
      let trained = ContinuousClock.now
      outcome = trainer.test()
      training += began.duration(to: trained)
      testing += trained.duration(to: .now)
    }
    print(
      String(
        format: "train %.2f s  evaluate %.2f s  test_loss %.5f  test_error %.2f", training / .seconds(1),
        testing / .seconds(1), outcome.loss, outcome.error))
  }
}

/// Writes down the beginning of a run, for Scripts/benchmarks/cifar10_pytorch.py to make again: the initial
/// parameters, how each step saw its images, its loss, and the parameters afterwards; little endian, without
/// headers.
struct CIFAR10Parity: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cifar10-parity")

  @Argument var out: String
  @Option var datasets: String?
  @Option var seed: UInt64 = 0
  @Option var steps = 50

  func run() throws {
    let dataset = try ImageDataset.cifar10(in: DatasetsDirectory(datasets))
    var trainer = CIFAR10Trainer(
      recipe: CIFAR10Recipe(dataset: dataset.identity), images: CIFAR10Images(dataset),
      kernels: try Kernels(), seed: seed)
    try Files.createDirectory(out)
    try write(trainer.parameters, to: "initial.f32")
    var batches: [UInt32] = []
    var losses: [Float] = []
    for _ in 0..<steps {
      trainer.step()
      batches += trainer.batch
      losses.append(trainer.trainOutcome.loss)
    }
    try write(batches, to: "batches.u32")
    try write(losses, to: "losses.f32")
    try write(trainer.parameters, to: "after.f32")
  }

  private func write<Value: BitwiseCopyable>(_ values: [Value], to name: String) throws {
    try Files.write(values.withUnsafeBytes { Data($0) }, to: "\(out)/\(name)")
  }
}
