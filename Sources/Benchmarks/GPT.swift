import ArgumentParser
import Corpus
import Foundation
import GenerativeModel
import ModelTraining

/// The networks that a model is made for, by the names of their tasks.
private func architecture(_ name: String) throws -> Architecture {
  let tensors: [String: [[Int]]] = [
    "cartpole": [[1], [32, 4], [32], [32, 32], [32], [1, 32], [1]],
    "mnist": [[10, 784], [10], [10, 10], [10]],
    "cifar10": [[16, 3, 3, 3], [32, 16, 3, 3], [10, 32], [10]],
    "tiny": [[5, 3], [5], [2, 5], [2]],
    "deep": [[3], [4, 3], [4], [6, 4], [6], [2, 6], [2]],
  ]
  guard let shapes = tensors[name] else { throw ValidationError("unknown networks \(name)") }
  return Architecture(name: name, tensors: shapes.enumerated().map { .init("tensor\($0)", $1) })
}

private let published: [String: Int] = ["mnist": 1000, "cifar10": 576, "tiny": 4, "deep": 2]

struct GPTOptions: ParsableArguments {
  @Option var task = "cartpole"
  @Flag(help: "A token is a hidden unit.") var units = false
  @Option var width = 128
  @Option var layers = 4
  @Option var heads = 4
  @Option var batch = 128
  @Option var steps = 100
  @Option var workers = 1

  func configuration() -> GPTConfiguration {
    var model = ModelConfiguration(width: width, layers: layers, heads: heads)
    model.tokens = units ? .units : .chunks
    model.chunk = published[task]
    var training = TrainingConfiguration(
      batch: batch, learningRate: 1e-3, warmup: min(10, steps / 2), steps: steps)
    training.gradientClip = 1
    training.emaDecay = 0.99
    return GPTConfiguration(model: model, training: training)
  }
}

/// Writes down a short training on made-up pairs, for Scripts/benchmarks/gpt_pytorch.py to make again.
struct GPTParity: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "gpt-parity")

  @Argument var out: String
  @OptionGroup var options: GPTOptions

  func run() throws {
    let training = try ParityTrace(
      options.configuration(), architecture(options.task), workers: options.workers)
    try training.write(to: out)
  }
}

/// Updates a second of a training on made-up pairs, or networks drawn a second.
struct GPTSpeed: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "gpt-speed")

  @OptionGroup var options: GPTOptions
  @Flag(help: "Draw networks instead.") var samples = false
  @Option var samplingSteps = 20

  func run() throws {
    let training = try ParityTrace(
      options.configuration(), architecture(options.task), workers: options.workers)
    if samples {
      _ = try training.sample(steps: 1, workers: options.workers)
    } else {
      _ = training.firstGradient()
    }
    let began = ContinuousClock.now
    if samples {
      _ = try training.sample(steps: samplingSteps, workers: options.workers)
    } else {
      _ = training.train()
    }
    let seconds = began.duration(to: .now) / .seconds(1)
    let count = options.batch * (samples ? 1 : options.steps)
    print(
      "\(samples ? "samples" : "pairs")_per_second " + String(format: "%.1f", Double(count) / seconds))
  }
}
