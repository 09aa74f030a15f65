import Platform
import ShardStore
import TerminalOutput
public import ArgumentParser
import Corpus
import Evaluation
import Foundation
public import GenerativeModel
import MetricIndex
import ModelTraining
import PairSampling

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a G.pt, a generative model of checkpoints, on a corpus.",
    discussion: """
      The model learns from pairs of checkpoints of one run to write the later one, given the earlier one and the \
      metrics of both; `corpus prompt` then asks it for a metric. Presets: small, for a CPU, and the published models \
      cartpole, mnist and cifar10, for very many of them. --config names a JSON file instead, \
      {"model": {…}, "training": {…}}; --print-config shows the one that would be used.

      Prompts are evaluated on the real task twenty times on the way, from held-out runs and from random networks: the \
      model keeps the weights that met them best, and training ends early where they are met less and less well.

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

  @Flag(help: "Learn from runs that are out of range, too.")
  var includeBad = false

  @Option(help: "As many updates as fit into so many minutes here, instead of the configuration's.")
  var minutes: Double?

  @Option(help: "So many updates, instead of the configuration's.")
  var steps: Int?

  @Option(help: "Hidden units: none, permute, canonical or automatic, instead of the configuration's.")
  var augment: String?

  @Option(help: "Targets: none, metric, quantile or log, instead of the configuration's.")
  var balance: String?

  @Option(help: "Updates between evaluations of prompts, 0 for none, instead of the configuration's.")
  var evaluateEvery: Int?

  @Option(help: "Evaluations without a better alignment after which it ends, instead of the configuration's.")
  var patience: Int?

  @OptionGroup var datasets: DatasetOptions

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
      || balance != nil || evaluateEvery != nil || patience != nil || includeBad
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
      note(
        "needs \(Format.bytes(try Trainer.bytes(settings, corpus.manifest.architecture.decided))) of memory")
      trainer = try Trainer(
        settings, on: corpus, metric: metric, condition: condition, statuses: statuses, into: directory,
        workers: workers)
    }
    if !quiet { LeftOutNote.write(trainer.leftOut, trainer.description.metric.name, isTraining: true) }
    let work = LongWork("train", quiet: quiet)
    defer { work.end() }
    var job = TrainingJob(trainer)
    job.saveInterval = saveSeconds
    job.evaluate = try prompts(trainer.description, corpus, workers: workers)?
      .evaluating(until: work.cancellation)
    if let minutes { try job.plan(seconds: 60 * minutes) }
    let description = trainer.description
    note(
      "G.pt of \(Format.count(trainer.parameterCount)) weights, width \(description.model.width), "
        + "\(description.model.layers) layers, on \(Format.count(description.corpus.runs, "run")) for "
        + "\(description.metric.name), \(Format.count(description.training.steps)) updates of "
        + "\(Format.count(description.training.batch, "pair"))")
    let start = trainer.step
    var evaluated = description.evaluations?.count ?? 0
    try job.run(cancellation: work.cancellation) { trainer in
      let evaluations = trainer.description.evaluations ?? []
      work.display.update(
        trainer.step, of: description.training.steps, unit: "updates", force: evaluations.count > evaluated
      ) {
        let pairs = Double((trainer.step - start) * description.training.batch) / work.display.elapsed
        return ["loss \(Format.short(trainer.smoothedLoss))", "\(Format.count(Int(pairs))) pairs/s"]
          + (evaluations.last.map { [Self.line(of: $0)] } ?? [])
      }
      evaluated = evaluations.count
    }
    work.end()
    conclude(trainer.description, loss: trainer.smoothedLoss, directory)
  }

  /// The prompts that it is tried with on the way; nil where none are wanted, or nobody can measure them here.
  private func prompts(
    _ description: ModelDescription, _ corpus: CorpusDirectory, workers: Int
  ) throws(CorpusError) -> TrainingPrompts? {
    guard description.training.evaluateEvery != 0 else { return nil }
    do throws(CorpusError) {
      return try TrainingPrompts(description, on: corpus, datasets: datasets.directory, workers: workers)
    } catch  where [.cannotReplay, .missingDataset].contains(error.code) {
      note("prompts are not evaluated on the way, and the last weights are kept: \(error.message)")
      return nil
    }
  }

  private static func line(of evaluation: TrainingEvaluation) -> String {
    evaluation.groups.map { group in
      "\(group.starts): alignment \(String(format: "%.2f", group.alignment)), "
        + "\(Format.short(Double(group.oneStep))) for \(Format.short(Double(evaluation.bestPrompt)))"
    }.joined(separator: "; ")
  }

  private func conclude(_ description: ModelDescription, loss: Double, _ directory: ModelDirectory) {
    let heldOut = description.history.last?.heldOutLoss.map { ", held out \(Format.short($0))" } ?? ""
    note("loss \(Format.short(loss))\(heldOut); the model is in \(directory.path)")
    guard let best = description.bestEvaluation else { return }
    let stalled = description.hasStalled ? "; alignment had not risen since, so training ended" : ""
    note("its weights are those of update \(Format.count(best.step)): \(Self.line(of: best))\(stalled)")
  }

  private func settings(_ corpus: CorpusDirectory) throws -> GPTConfiguration {
    var settings: GPTConfiguration
    if let config {
      settings = try GPTConfiguration(contentsOf: config)
    } else {
      settings = try preset.configuration(
        metric: metric ?? corpus.manifest.metrics.last?.name ?? "",
        itemsPerEpoch: PairSampler.defaultItems(corpus.manifest.task)
      ) { () throws(CorpusError) in
        let wanted = RunFilter(
          split: "train", statuses: statuses, conditions: [condition].compactMap { $0 })
        return try IndexReader(opening: corpus).runTable(wanted).rows.count
      }
    }
    if let steps { settings.training.steps = steps }
    // Presets are made for networks whose units may be permuted.
    if config == nil, corpus.manifest.architecture.permutations?.isEmpty ?? true {
      settings.training.augmentation = PairStreamOptions.Augmentation.none.rawValue
    }
    if let augment { settings.training.augmentation = augment }
    if let balance { settings.training.balance = balance }
    if let evaluateEvery { settings.training.evaluateEvery = evaluateEvery }
    if let patience { settings.training.patience = patience }
    try settings.validate()
    return settings
  }

  /// Of the runs that are learned from. Nothing can be learned from parameters that are not finite.
  private var statuses: Set<RunStatus> { includeBad ? [.ok, .outOfRange] : [.ok] }

  private func note(_ line: String) { if !quiet { Console.note(line) } }
}

extension Preset: ExpressibleByArgument {}
