public import ArgumentParser
import Corpus
import Foundation
public import GenerativeModel
import PairStream

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a G.pt, a generative model of checkpoints, on a corpus.",
    discussion: """
      The model learns from pairs of checkpoints of one run to write the later one, given the earlier one and the \
      metrics of both; `corpus prompt` then asks it for a metric. Presets: small, for a CPU, and the published models \
      cartpole, mnist and cifar10, for very many of them. --config names a JSON file instead, \
      {"model": {…}, "training": {…}}; --print-config shows the one that would be used.

      It is stored every minute, and when it is interrupted; --resume goes on, and ends at the same bits as if it had \
      never stopped.

      EXAMPLE
        corpus train corpora/cartpole --out models/cartpole
        corpus train corpora/cartpole --out models/cartpole --resume
        corpus train corpora/mnist --out models/mnist --metric test_loss --minutes 10
        corpus train corpora/mnist --preset mnist --print-config > mnist.json
      """)

  @OptionGroup var corpus: CorpusArgument

  @Option(help: "The directory of the model.", completion: .directory)
  var out: String?

  @Option(help: "small, cartpole, mnist or cifar10.")
  var preset = Preset.small

  @Option(help: "A configuration file instead of a preset.", completion: .file())
  var config: String?

  @Option(help: "The metric of prompts (default: the corpus's last one).")
  var metric: String?

  @Option(name: .customLong("where"), help: "A SQL condition on the columns of runs and checkpoints.")
  var condition: String?

  @Option(help: "As many updates as fit into so many minutes here, instead of the configuration's.")
  var minutes: Double?

  @Option(help: "So many updates, instead of the configuration's.")
  var steps: Int?

  @Option(help: "Hidden units: none, permute or canonical, instead of the configuration's.")
  var augment: String?

  @Option(help: "Threads (default: one a core).")
  var workers: Int?

  @Option(help: "How often the model is stored.")
  var saveSeconds = 60.0

  @Flag(help: "Go on with the training that --out holds.")
  var resume = false

  @Flag(help: "Print the configuration and end.")
  var printConfig = false

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if let minutes, !(minutes > 0 && minutes < 1e6) { throw ValidationError("--minutes must be above 0") }
    if let steps, steps < 1 { throw ValidationError("--steps must be at least 1") }
    if minutes != nil && steps != nil { throw ValidationError("give --minutes or --steps, not both") }
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
    if !(saveSeconds > 0) { throw ValidationError("--save-seconds must be above 0") }
    if out == nil && !printConfig { throw ValidationError("--out must name the model's directory") }
    let sets =
      metric != nil || condition != nil || config != nil || augment != nil || minutes != nil || steps != nil
    if resume && sets {
      throw ValidationError("--resume goes on as the training began: leave out what sets it")
    }
  }

  func run() throws {
    let corpus = try corpus.open()
    if printConfig {
      return Console.write(
        String(decoding: try CanonicalJSON.data(settings(corpus), pretty: true), as: UTF8.self))
    }
    let directory = ModelDirectory(out ?? "")
    let workers = workers ?? Workers.available
    let trainer: Trainer
    if resume {
      trainer = try Trainer(resuming: directory, on: corpus, workers: workers)
    } else {
      guard !directory.holdsModel else {
        throw CorpusError(
          .alreadyExists, "\(directory.path) holds a model already",
          remedy: "go on with it by --resume, or choose another --out")
      }
      let settings = try settings(corpus)
      note("needs \(Format.bytes(try Trainer.bytes(settings, corpus.manifest.architecture))) of memory")
      trainer = try Trainer(
        settings, on: corpus, metric: metric, condition: condition, into: directory, workers: workers)
      if let minutes { try trainer.plan(seconds: 60 * minutes) }
    }
    let description = trainer.description
    note(
      "G.pt of \(Format.count(trainer.parameterCount)) weights, width \(description.model.width), "
        + "\(description.model.layers) layers, on \(Format.count(description.corpus.runs, "run")) for "
        + "\(description.metric.name), \(Format.count(description.training.steps)) updates of "
        + "\(Format.count(description.training.batch, "pair"))")
    let work = LongWork("train", quiet: quiet)
    defer { work.end() }
    let start = trainer.step
    var job = TrainingJob(trainer)
    job.saveInterval = saveSeconds
    try job.run(cancellation: work.cancellation) { trainer in
      work.display.update(trainer.step, of: description.training.steps, unit: "updates") {
        let pairs = Double((trainer.step - start) * description.training.batch) / work.display.elapsed
        return ["loss \(Format.short(trainer.smoothedLoss))", "\(Format.count(Int(pairs))) pairs/s"]
      }
    }
    work.end()
    let last = trainer.description.history.last
    let heldOut = last?.heldOutLoss.map { ", held out \(Format.short($0))" } ?? ""
    note("loss \(Format.short(trainer.smoothedLoss))\(heldOut); the model is in \(directory.path)")
  }

  private func settings(_ corpus: CorpusDirectory) throws -> GPTConfiguration {
    var settings: GPTConfiguration
    if let config {
      settings = try GPTConfiguration(contentsOf: config)
    } else {
      settings = preset.configuration(
        metric: metric ?? corpus.manifest.metrics.last?.name ?? "",
        itemsPerEpoch: PairStream.defaultItems(corpus.manifest.task))
    }
    if let steps { settings.training.steps = steps }
    // Presets are made for networks whose units may be permuted.
    if config == nil, corpus.manifest.architecture.permutations?.isEmpty ?? true {
      settings.training.augmentation = PairStreamOptions.Augmentation.none.rawValue
    }
    if let augment { settings.training.augmentation = augment }
    try settings.validate()
    return settings
  }

  private func note(_ line: String) { if !quiet { Console.note(line) } }
}

extension Preset: ExpressibleByArgument {}
