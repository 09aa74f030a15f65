import MetricIndex
import Platform
import ShardStore
import Export
import TerminalOutput
public import ArgumentParser
import Corpus
import Evaluation
import Foundation
public import GenerativeModel
import Overview

struct PromptCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prompt",
    abstract: "Ask a G.pt for networks that reach a metric, in one step.",
    discussion: """
      Each network starts from random parameters, as a run begins with, or from a checkpoint; what the model writes is \
      measured on the real task.

      EXAMPLE
        corpus prompt models/cartpole --target 470 --count 8
        corpus prompt models/cartpole --target 100 --target 300 --target 470 --start 7:0
        corpus prompt models/mnist --target 0.3 --start random --samples 4 --out networks.safetensors
      """)

  @OptionGroup var model: ModelArgument

  @Option(
    name: .customLong("target"), parsing: .unconditionalSingleValue,
    help: "The metric that is wanted; several, for prompts from the same starts.")
  var targets: [Float]

  @Option(help: "How many random starts.")
  var count = 4

  @Option(help: "random, or a checkpoint as RUN:STEP, such as 7:0; several, for several starts.")
  var start: [String] = ["random"]

  @Option(help: "Networks drawn for each prompt and start.")
  var samples = 1

  @OptionGroup var sampling: SamplingFlags

  @OptionGroup var datasets: DatasetOptions

  @Option(help: "Write the networks to this new safetensors file.", completion: .file())
  var out: String?

  @Option(help: "table, csv or json.")
  var format = RowFormat.table

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if targets.isEmpty { throw ValidationError("--target must say which metric is wanted") }
    if let target = targets.first(where: { !$0.isFinite }) {
      throw ValidationError("--target \(target) is no finite number")
    }
    if count < 1 { throw ValidationError("--count must be at least 1") }
    if samples < 1 { throw ValidationError("--samples must be at least 1") }
    try requireFile(out)
  }

  func run() throws {
    let model = try model.open()
    let measurer = try TaskMeasurer(
      of: model.description, datasets: datasets.directory, workers: sampling.threads)
    let work = LongWork("prompt", quiet: quiet)
    defer { work.end() }
    warn(model.description)
    let starts = try starts(model.description, measurer)
    let asked = starts.flatMap { start in
      targets.flatMap { target in Array(repeating: (start: start, target: target), count: samples) }
    }
    let networks = try model.sample(
      asked.map {
        Prompt(start: $0.start.parameters, startMetric: $0.start.metric, targetMetric: $0.target)
      }, options: sampling.options, workers: sampling.threads, cancellation: work.cancellation
    ) { done in work.display.update(done, of: asked.count, unit: "networks") { [] } }
    let reached = try measurer.measure(networks, cancellation: work.cancellation)
    work.end()
    let name = measurer.metric.name
    var printer = RowPrinter(format: format)
    printer.begin(columns: ["start", "start_\(name)", "prompted", "reached"])
    for (ask, value) in zip(asked, reached) {
      let start = ask.start
      printer.add([
        .text(start.run.map { "\($0):\(start.step ?? 0)" } ?? "random"), .real(Double(start.metric)),
        .real(Double(ask.target)), .real(Double(value)),
      ])
    }
    printer.end()
    if let out {
      try NetworkFile(
        description: model.description, metric: measurer.metric, networks: networks,
        startMetrics: asked.map(\.start.metric), prompted: asked.map(\.target), reached: reached
      ).write(to: out)
    }
  }

  private func starts(_ description: ModelDescription, _ measurer: TaskMeasurer) throws -> [Start] {
    var starts: [Start] = []
    for text in start {
      if text == "random" {
        starts += try measurer.randomStarts(count, seed: sampling.seed)
        continue
      }
      let parts = text.split(separator: ":").map(String.init)
      guard parts.count == 2, let run = Int64(parts[0]), let step = Int(parts[1]) else {
        throw ValidationError("--start is random, or a checkpoint as RUN:STEP, and not \"\(text)\"")
      }
      starts.append(try model.reader(description).start(run: run, step: step))
    }
    return starts
  }

  private func warn(_ description: ModelDescription) {
    let (low, high) = (description.metricRange[0], description.metricRange[1])
    let room = 0.1 * (high - low)
    for target in targets where target < low - room || target > high + room {
      Console.note(
        "corpus: \(target) is far outside of what the model has seen: \(description.metric.name) from \(low) to "
          + "\(high)")
    }
  }
}

/// The model that a command asks, and its corpus.
struct ModelArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The model's directory.", valueName: "model"), completion: .directory)
  var path: String

  @Option(help: "The corpus with the starts (default: where it was trained).", completion: .directory)
  var corpus: String?

  func open() throws(CorpusError) -> Sampler { try Sampler(opening: ModelDirectory(path)) }

  func reader(_ description: ModelDescription) throws(CorpusError) -> StartReader {
    do throws(CorpusError) {
      return try StartReader(CorpusDirectory(opening: corpus ?? description.corpus.path), for: description)
    } catch  where corpus == nil && error.code == .notACorpus {
      throw CorpusError(
        error.code, "the model was trained on \(description.corpus.path), and \(error.message)",
        remedy: "say with --corpus where it lies now")
    }
  }
}

/// How networks are drawn, as flags.
struct SamplingFlags: ParsableArguments {
  @Option(help: "ddim, which draws without noise, or ddpm, the diffusion's own.")
  var sampler = SamplerKind.ddim

  @Option(help: "Passes through the model for each network (ddpm: best all 1000).")
  var samplingSteps = 50

  @Option(help: "Of the random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Threads (default: one a core).")
  var workers: Int?

  mutating func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
    if samplingSteps < 1 { throw ValidationError("--sampling-steps must be at least 1") }
    if seed >= 1 << 29 { throw ValidationError("--seed must be below 2^29") }
  }

  var threads: Int { workers ?? Workers.available }
  var options: SamplingOptions { SamplingOptions(sampler: sampler, steps: samplingSteps, seed: seed) }
}

extension SamplerKind: ExpressibleByArgument {}
