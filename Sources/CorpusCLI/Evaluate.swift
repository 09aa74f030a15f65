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
      prompted for values from the start's own to the best one, which is what the best tenth of the corpus reaches unless \
      --best says another. The table gives the prompt alignment (the mean R^2 of reached against prompted), what the best \
      prompt reaches in one step, after how many iterations the corpus's own runs are as good, and what feeding the \
      networks back in gives. All of it goes to evaluation.json in the model's directory.

      EXAMPLE
        corpus evaluate models/cartpole
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
    help: "The best prompt: a number, or published (default: what the best tenth of the corpus reaches).")
  var best: BestPrompt?

  @OptionGroup var sampling: SamplingFlags

  @OptionGroup var datasets: DatasetOptions

  @Option(help: "Where the results go (default: evaluation.json beside the model).", completion: .file())
  var out: String?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    try requireFile(out)
    if networks < 1 { throw ValidationError("--networks must be at least 1") }
    if prompts < 2 { throw ValidationError("--prompts must be at least 2") }
    if recursions < 1 { throw ValidationError("--recursions must be at least 1") }
  }

  func run() throws {
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
    switch best {
    case .number(let value): prompting.bestPrompt = value
    case .published: prompting.bestPrompt = PromptEvaluation.publishedPrompt(model.description)
    case nil: break
    }
    let evaluation = try prompting.run(
      [
        ("training runs", reader.initialStarts(networks, split: "train")),
        ("held-out runs", reader.initialStarts(networks, split: "test")),
        ("random", measurer.randomStarts(networks, seed: sampling.seed)),
      ], reader: reader, cancellation: work.cancellation
    ) { done, total in work.display.update(done, of: total, unit: "networks") { [] } }
    work.end()
    let path = out ?? "\(self.model.path)/evaluation.json"
    try Files.write(CanonicalJSON.data(evaluation, pretty: true), to: path)
    Self.show(evaluation)
    let published = PromptEvaluation.publishedPrompt(model.description)
    if best == nil, published != evaluation.bestPrompt, !quiet {
      Console.note(
        "\(evaluation.bestPrompt) is what the best tenth of the corpus reaches; the published evaluation prompts for "
          + "\(published): --best published")
    }
    if !quiet { Console.note("written to \(path)") }
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
  }

  private static func show(_ evaluation: ModelEvaluation) {
    let name = evaluation.metric.name
    Console.print("One step from initial networks, prompted for \(name) \(evaluation.bestPrompt)")
    var printer = RowPrinter(format: .table)
    printer.begin(columns: [
      "starts", "networks", "start", "worst", "lower", "median", "upper", "best", "alignment", "iterations",
    ])
    for group in evaluation.groups {
      let step = group.oneStep
      let values = [mean(group.startMetrics), step.worst, step.lower, step.median, step.upper, step.best]
      printer.add(
        [.text(group.starts), .integer(Int64(group.startMetrics.count))]
          + values.map { .real(rounded(Double($0))) }
          + [.real(rounded(group.alignment)), group.iterations.map { .real(rounded($0)) } ?? .text("never")])
    }
    printer.end()
    Console.print("\nReached (mean) for what was prompted (mean)")
    printer = RowPrinter(format: .table)
    printer.begin(columns: evaluation.groups.flatMap { ["prompted", $0.starts] })
    for prompt in evaluation.groups.first?.prompted.first?.indices ?? 0..<0 {
      printer.add(
        evaluation.groups.flatMap { group in
          [group.prompted, group.observed].map { values in
            .real(rounded(Double(mean(values.map { $0[prompt] }))))
          }
        })
    }
    printer.end()
    Console.print("\nFed back in, for \(evaluation.bestPrompt) (medians)")
    printer = RowPrinter(format: .table)
    printer.begin(columns: ["steps"] + evaluation.groups.map(\.starts))
    for step in evaluation.groups.first?.recursive.indices ?? 0..<0 {
      printer.add(
        [.integer(Int64(step + 1))] + evaluation.groups.map { .real(rounded(Double($0.recursive[step]))) })
    }
    printer.end()
  }

  private static func mean(_ values: [Float]) -> Float { values.reduce(0, +) / Float(max(1, values.count)) }

  /// To four significant digits.
  private static func rounded(_ value: Double) -> Double {
    guard value != 0, value.isFinite else { return value }
    let scale = pow(10, 3 - floor(log10(abs(value))))
    return (value * scale).rounded() / scale
  }
}
