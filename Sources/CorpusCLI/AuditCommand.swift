import Overview
import ArgumentParser
import Audit
import Corpus
import GenerativeModel
import MetricIndex
import Platform
import ShardStore
import TerminalOutput

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Tell whether a G.pt writes networks of its own, or copies of those that it learned from.",
    discussion: """
      Networks are drawn for the best prompt and for others, and compared with every checkpoint of the training runs, \
      whatever the order of their hidden units; and so are networks of which it is known what they are: of held-out runs, \
      of training runs, with noise, and mixtures of several. The table has the median of each kind; --out has all.

      EXAMPLE
        corpus audit models/short
        corpus audit models/short --samples 100 --out audit.json
      """)

  @OptionGroup var model: ModelArgument

  @Option(help: "Networks to draw.")
  var samples = 200

  @OptionGroup var sampling: SamplingFlags
  @OptionGroup var datasets: DatasetOptions

  @Option(help: "Where the results go, as JSON.", completion: .file())
  var out: String?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    try requireFile(out)
    if samples < 1 || samples > 100_000 { throw ValidationError("--samples must be from 1 to 100000") }
  }

  func run() throws {
    let model = try model.open()
    var options = ModelAudit.Options()
    (options.samples, options.sampling) = (samples, sampling.options)
    let audit = try ModelAudit(
      model, datasets: datasets.directory, options: options, workers: sampling.threads)
    if !audit.canMeasure, !quiet {
      Console.note(
        "networks of the task \(model.description.task) cannot be measured: what they reach is left out")
    }
    let corpus = try CorpusDirectory(opening: self.model.corpus ?? model.description.corpus.path)
    let work = LongWork("audit", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let report = try Self.beginningAnew { () throws(CorpusError) in
      try audit.run(on: corpus, cancellation: work.cancellation) { stage, done, total in
        display.update(done, of: total, unit: stage) { [] }
      }
    }
    work.end()
    if let out { try Files.write(CanonicalJSON.data(report, pretty: true), to: out) }
    show(report)
    if let out, !quiet { Console.note("written to \(out)") }
  }

  /// Says of work that was stopped that nothing of it is kept.
  private static func beginningAnew<Value>(_ work: () throws(CorpusError) -> Value) throws(CorpusError)
    -> Value
  {
    do {
      return try work()
    } catch {
      guard error.code == .interrupted else { throw error }
      throw CorpusError(
        .interrupted, "stopped on request, and nothing was written", remedy: "run the same command again")
    }
  }

  private func show(_ report: AuditReport) {
    Console.print(
      "Nearest of \(Format.count(report.checkpoints, "checkpoint")) of \(Format.count(report.runs, "training run")), "
        + "in units of the held-out networks' median, \(Format.short(report.spread))")
    var printer = RowPrinter(format: .table)
    printer.begin(columns: ["networks", "number", "distance", report.metric.name, "overlap"])
    var groups: [String] = []
    for sample in report.samples where !groups.contains(sample.group) { groups.append(sample.group) }
    for group in groups {
      let samples = report.samples.filter { $0.group == group }
      printer.add([
        .text(group), .integer(Int64(samples.count)), median(samples.map(\.distanceRelative)),
        median(samples.map { Double($0.metric) }),
        median(samples.compactMap { $0.overlap.map { Double($0) } }),
      ])
    }
    printer.end()
    Console.print("")
    Console.print("Best prompt:  \(report.verdict.good)")
    Console.print("All prompts:  \(report.verdict.all)")
    Console.print(
      "Copying score (below -3: nearer than held-out networks): \(Format.short(report.copyingScore.score)) by cells, "
        + "\(Format.short(report.copyingScore.z)) over all; the search found \(Int(100 * report.recall)) % of the nearest"
    )
  }

  private func median(_ values: [Double]) -> SQLValue {
    let numbers = values.filter(\.isFinite).sorted()
    return numbers.isEmpty ? .null : .text(Format.short(numbers[numbers.count / 2]))
  }
}
