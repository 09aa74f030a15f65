import GenerativeModel
import PairSampling
import MetricIndex
import Platform
import TerminalOutput
import ArgumentParser
import Corpus
import Evaluation
import Foundation
import Overview

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how well a G.pt's networks reach what they are prompted for.",
    discussion: """
      From the first checkpoints of training runs and of held-out runs, and from random starts of neither, the model is \
      prompted for values from the start's own to the best one: once to what the best tenth of the corpus reaches, and \
      once to the published best prompt, unless --best names one. The tables give the prompt alignment (the mean R^2 of \
      reached against prompted), what the best prompt reaches in one step, after how many iterations the corpus's own \
      runs are as good, and what feeding the networks back in gives. All of it goes to evaluation.json in the model's \
      directory. --over-training shows what was measured while the model was trained, from before the first update on.

      EXAMPLE
        corpus evaluate models/cartpole
        corpus evaluate models/cartpole --over-training
        corpus evaluate models/mnist --networks 50 --sampler ddpm --sampling-steps 1000
      """)

  @OptionGroup var model: ModelArgument

  @Option(help: "Starts of each kind.")
  var networks = 16

  @Option(help: "Prompts for each start.")
  var prompts = 20

  @Option(help: "How often networks are fed back in.")
  var recursions = 5

  @Option(
    help:
      "The best prompt: a number, or published (default: what the best tenth of the corpus reaches, and published)."
  )
  var best: BestPrompt?

  @Flag(help: "Show the evaluations that training has stored, and measure nothing; --out takes them as JSON.")
  var overTraining = false

  @OptionGroup var sampling: SamplingFlags

  @OptionGroup var datasets: DatasetOptions

  @Option(
    help: "Where the results go as JSON (default: evaluation.json beside the model).", completion: .file())
  var out: String?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    try requireFile(out)
    if networks < 1 { throw ValidationError("--networks must be at least 1") }
    if prompts < 1 { throw ValidationError("--prompts must be at least 1") }
    if overTraining && best != nil {
      throw ValidationError("--over-training shows what was measured: leave out --best")
    }
    if recursions < 1 { throw ValidationError("--recursions must be at least 1") }
  }

  func run() throws {
    if overTraining { return try showTraining() }
    let model = try model.open()
    let measurer = try TaskMeasurer(
      of: model.description, datasets: datasets.directory, workers: sampling.threads)
    let work = LongWork("evaluate", quiet: quiet)
    defer { work.end() }
    let reader = try self.model.reader(model.description)
    let leftOut = try reader.leftOut().reasons(model.description.metric.name).map(\.what)
    if !leftOut.isEmpty, !quiet {
      Console.note("left out, as by the training: " + leftOut.joined(separator: ", "))
    }
    var prompting = PromptEvaluation(
      model, measurer: measurer, options: sampling.options, workers: sampling.threads)
    prompting.prompts = prompts
    prompting.recursions = recursions
    let groups = [
      ("training runs", try reader.initialStarts(networks, split: "train")),
      ("held-out runs", try reader.initialStarts(networks, split: "test")),
      ("random", try measurer.randomStarts(networks, seed: sampling.seed, cancellation: work.cancellation)),
    ]
    func progress(_ done: Int, _ total: Int) {
      work.display.update(done, of: total, unit: "networks") { [] }
    }
    let evaluation: ModelEvaluation
    if let best {
      prompting.bestPrompt = best.value(model.description)
      evaluation = try prompting.run(
        groups, reader: reader, cancellation: work.cancellation, progress: progress)
    } else {
      evaluation = try prompting.runBesidePublished(
        groups, reader: reader, cancellation: work.cancellation, progress: progress)
    }
    work.end()
    EvaluationTables.show(evaluation, isBestOfTenth: best == nil)
    if !quiet { caveats(evaluation, model.description.metricRange).forEach(Console.note) }
    try store(evaluation, at: out ?? "\(self.model.path)/evaluation.json")
  }

  private func showTraining() throws {
    let training = try OverTraining(ModelDirectory(model.path).description())
    EvaluationTables.show(training)
    if let out { try store(training, at: out) }
  }

  private func store(_ results: some Encodable, at path: String) throws {
    try Files.write(CanonicalJSON.data(results, pretty: true), to: path)
    if !quiet { Console.note("written to \(path)") }
  }

  /// What the numbers are not: what lies outside of the corpus can be wished for and not be learned.
  private func caveats(_ evaluation: ModelEvaluation, _ range: [Float]) -> [String] {
    let outside = [evaluation.bestPrompt, evaluation.published?.bestPrompt].compactMap { $0 }
      .filter { $0 < range[0] || $0 > range[1] }
    let name = evaluation.metric.name
    return outside.map {
      "the corpus holds \(name) from \(range[0]) to \(range[1]), and \($0) lies outside of it"
    } + (prompts == 1 ? ["one prompt for each start has no alignment: give --prompts 2 or more"] : [])
  }

  /// What is prompted for at most.
  enum BestPrompt: ExpressibleByArgument {
    case number(Float)
    case published

    init?(argument: String) {
      if argument == "published" {
        self = .published
      } else if let value = Float(argument), value.isFinite {
        self = .number(value)
      } else {
        return nil
      }
    }

    func value(_ description: ModelDescription) -> Float {
      switch self {
      case .number(let value): value
      case .published: PromptEvaluation.publishedPrompt(description)
      }
    }
  }
}
