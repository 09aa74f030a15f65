import Platform
import Tasks
import ArgumentParser
import CPeak
import Datasets
import Foundation
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
    var outcome = trainer.network.test()
    for evaluation in 1...max(1, evaluations) {
      let target = recipe.iterations * evaluation / max(1, evaluations)
      let began = ContinuousClock.now
      while trainer.iteration < target { trainer.update() }
      let trained = ContinuousClock.now
      outcome = trainer.network.test()
      training += began.duration(to: trained)
      testing += trained.duration(to: .now)
    }
    print(
      String(
        format: "train %.2f s  evaluate %.2f s  test_loss %.5f  test_error %.2f", training / .seconds(1),
        testing / .seconds(1), outcome.loss, outcome.error))
  }
}

/// How near the convolutional network's kernels come to what the core can do at best, in turns of both.
///
/// Counted are the multiplications and additions of the two convolutions, once as the definition has them, and once as
/// Winograd's F(2x2, 3x3) leaves them to the second one: 16 of 36, and nothing for its transformations.
struct CIFAR10Kernels: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cifar10-kernels")

  @Option var datasets: String?
  @Option(help: "Turns, each of half a second or so.") var rounds = 15

  /// Of one picture and one pass: two operations for each output, input channel and tap.
  private static let (first, second) = (2.0 * 16 * 16 * 16 * 3 * 9, 2.0 * 16 * 16 * 32 * 16 * 9)

  func run() throws {
    let dataset = try ImageDataset.cifar10(in: DatasetsDirectory(datasets))
    let recipe = CIFAR10Recipe(dataset: dataset.identity)
    let images = CIFAR10Images(dataset)
    var trainer = CIFAR10Trainer(recipe: recipe, images: images, kernels: try Kernels(), seed: 0)
    trainer.update()
    let batches = 100
    var (gradients, evaluations) = ([Double](), [Double]())
    var (peak, sum): (Double, Float) = (0, 0)
    // The first round warms up, and is not counted.
    for round in 0...rounds {
      let turns: UInt64 = 30_000_000
      let best = rate(2.0 * Double(turns) * Double(CPEAK_CHAINS) * Double(CPEAK_LANES)) {
        sum += cpeak_multiply_add(turns)
      }
      // Forward, and back to the weights of both and to the inputs of the second one.
      let gradient = rate(Double(batches * recipe.batchSize) * (2 * Self.first + 3 * Self.second)) {
        for _ in 0..<batches { trainer.network.backpropagate() }
      }
      let evaluation = rate(Double(dataset.test.count) * (Self.first + Self.second)) {
        sum += trainer.network.test().loss
      }
      guard round > 0 else { continue }
      gradients.append(gradient / best)
      evaluations.append(evaluation / best)
      peak = max(peak, best)
    }
    print(String(format: "peak of the core %.1f GF/s (the best of %d)", peak / 1e9, rounds))
    for (name, shares, passes) in [("training", gradients, (2.0, 3.0)), ("evaluation", evaluations, (1, 1))] {
      let share = shares.sorted()[shares.count / 2]
      let dense = passes.0 * Self.first + passes.1 * Self.second
      let left = (passes.0 * Self.first + passes.1 * Self.second * 16 / 36) / dense
      print(
        String(
          format: "%@ at %.0f %% of it in dense arithmetic, %.0f %% in what Winograd leaves (median)", name,
          100 * share, 100 * share * left))
    }
    precondition(sum.isFinite)
  }

  /// Operations a second.
  private func rate(_ operations: Double, _ work: () -> Void) -> Double {
    let began = ContinuousClock.now
    work()
    return operations / (began.duration(to: .now) / .seconds(1))
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
    try write(trainer.network.parameters, to: "initial.f32")
    var batches: [UInt32] = []
    var losses: [Float] = []
    for _ in 0..<steps {
      losses.append(trainer.update().loss)
      batches += trainer.network.views
    }
    try write(batches, to: "batches.u32")
    try write(losses, to: "losses.f32")
    try write(trainer.network.parameters, to: "after.f32")
  }

  private func write<Value: BitwiseCopyable>(_ values: [Value], to name: String) throws {
    try Files.write(values.withUnsafeBytes { Data($0) }, to: "\(out)/\(name)")
  }
}
