import ArgumentParser
import Corpus
import Foundation
import GenerativeModel
import Platform
import Report
import TerminalOutput

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Show what models do, on one page that opens in any browser.",
    discussion: """
      One HTML file that needs neither a network nor other files, and beside it the same numbers as JSON, for scripts: \
      prompts and what was reached, one step beside optimizers, the metric around samples, walks through the noise, whether \
      anything is new, the corpus, and the commands that make it all again.

      Sections that cannot be computed are left out, and the page says why. Each is kept as soon as it is computed, in a \
      directory .NAME.parts beside the page: who is stopped runs the same command again, and it goes on.

      EXAMPLE
        corpus report models/digits --out report.html
        corpus report models/mnist models/mnist-error --sections prompts,audit --out both.html
      """)

  @Argument(help: ArgumentHelp("The models' directories.", valueName: "model"), completion: .directory)
  var models: [String]

  @Option(
    help: "The page, a new file; its numbers go beside it, to NAME.evaluation.json.", completion: .file())
  var out: String

  @Flag(help: "Replace a page that is there.")
  var force = false

  @Option(help: "Some of \(SectionList.names), with commas between them (default: all).")
  var sections = SectionList()

  @Option(help: "The corpus with the starts (default: where each model was trained).", completion: .directory)
  var corpus: String?

  @Option(help: "Starts of each kind, and samples of each prompt.")
  var samples = 16

  @Option(help: "Networks along a side of MNIST's landscape at its finest, 16 to 2048.")
  var cells = 256

  @Option(
    help: "What landscape, walks and policies are prompted for at most (default: each model's best prompt).")
  var target: Float?

  @Option(help: "Passes through the model for each sample.")
  var samplingSteps = 20

  @Option(help: "Of the random numbers.")
  var seed: UInt64 = 0

  @OptionGroup var datasets: DatasetOptions

  @Option(help: "Threads (default: one a core).")
  var workers: Int?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    try requireFile(out)
    if models.isEmpty { throw ValidationError("name at least one model") }
    if samples < 1 { throw ValidationError("--samples must be at least 1") }
    if let target, !target.isFinite { throw ValidationError("--target \(target) is no finite number") }
    if !(16...2048).contains(cells) { throw ValidationError("--cells must be from 16 to 2048") }
    if samplingSteps < 1 { throw ValidationError("--sampling-steps must be at least 1") }
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
    if seed >= 1 << 29 { throw ValidationError("--seed must be below 2^29") }
  }

  func run() throws {
    let place = ReportFiles(out)
    try place.require(replacing: force)
    var options = ReportOptions()
    options.sections = Set(sections.sections)
    options.samples = samples
    options.sampling = SamplingOptions(steps: samplingSteps, seed: seed)
    options.workers = workers ?? Workers.available
    options.datasets = datasets.directory
    options.corpus = corpus
    options.target = target
    options.cells = cells
    options.command = command
    let job = try ReportJob(models.map(ModelDirectory.init), options: options)
    let work = LongWork("report", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let report = try job.run(keepingIn: place.parts, cancellation: work.cancellation) { progress in
      display.update(progress.done, of: progress.total, unit: "sections", force: progress.share == 0) {
        ["\(progress.section.rawValue) \(Int(100 * progress.share)) %"]
      }
    }
    work.end()
    let bytes = try place.write(report)
    if quiet { return }
    for model in report.models {
      for section in ReportSection.allCases {
        guard case .leftOut(let error)? = model.sections[section] else { continue }
        Console.note("\(model.identity.name): \(section.rawValue) is left out: \(error)")
      }
    }
    Console.print("\(place.page), \(Format.bytes(bytes)); the numbers are in \(place.json)")
  }

  /// The command as one would type it again.
  private var command: String {
    var words = ["corpus", "report"] + models + ["--out", out]
    if sections.sections != ReportSection.allCases { words += ["--sections", sections.description] }
    if let corpus { words += ["--corpus", corpus] }
    if let target { words += ["--target", "\(target)"] }
    if cells != 256 { words += ["--cells", "\(cells)"] }
    words += ["--samples", "\(samples)", "--sampling-steps", "\(samplingSteps)", "--seed", "\(seed)"]
    return words.joined(separator: " ")
  }
}

/// Names of sections with commas between them.
struct SectionList: ExpressibleByArgument, CustomStringConvertible {
  static let names = ReportSection.allCases.map(\.rawValue).joined(separator: ", ")

  var sections = ReportSection.allCases

  init() {}

  init?(argument: String) {
    let named = argument.split(separator: ",").map { ReportSection(rawValue: String($0)) }
    guard !named.isEmpty, !named.contains(nil) else { return nil }
    sections = ReportSection.allCases.filter(named.contains)
  }

  var description: String { sections.map(\.rawValue).joined(separator: ",") }
  var defaultValueDescription: String { "all" }
}
