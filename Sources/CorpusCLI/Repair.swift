import ShardStore
import Platform
import Maintenance
import TerminalOutput
import Tasks
import ArgumentParser
import Corpus

struct Repair: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make damaged or lost runs again from their seeds.",
    discussion: """
      Each run is proven equal to the hash that the shard or the index records before it takes the place of what \
      is damaged; where no record is left, the damaged file is kept in the corpus's directory `damaged`. Lost \
      runs are those that the index knows, so repair a corpus before you run `corpus index`.

      EXAMPLE
        corpus repair corpora/cartpole
        corpus repair corpora/mnist --datasets Data
      """)

  @OptionGroup var corpus: ChangedCorpusArgument
  @OptionGroup var datasets: DatasetOptions

  @Option(help: "How many shards to read, or runs to make, at a time (default: one a core).")
  var workers: Int?

  @Flag(help: "Print nothing but problems.")
  var quiet = false

  mutating func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
  }

  func run() throws {
    let directory = try corpus.open()
    let work = LongWork("repair", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let datasets = datasets.directory
    let job = RepairJob(directory: directory, workers: workers ?? Workers.available) {
      () throws(CorpusError) in
      try Tasks.task(of: directory.manifest, path: directory.path, datasets: datasets)
    }
    let result = try job.run(cancellation: work.cancellation) { event in
      switch event {
      case .examined(let done, let total): display.update(done, of: total, unit: "shards") { ["reading"] }
      case .made(let done, let total): display.update(done, of: total, unit: "runs") { ["making again"] }
      case .repaired(let run): display.print(Self.line(run))
      case .rewritten(let shard): display.print("\(shard.damage); its runs are whole, and stored anew")
      }
    }
    work.end()
    for problem in result.problems { Console.complain(problem) }
    if !quiet { Console.print(Self.summary(result)) }
    if !result.problems.isEmpty { throw ExitCode.failure }
  }

  private static func line(_ run: RepairedRun) -> String {
    let proof =
      run.proofs.isEmpty
      ? "with no record left to prove it by"
      : "equal to \(run.proofs.map(\.rawValue).joined(separator: " and "))"
    let kept = run.kept.map { "; what was there is kept as \($0)" } ?? ""
    let subject = run.damage.hasPrefix("run ") ? "" : "run \(run.run): "
    return "\(subject)\(run.damage); made again, \(proof)\(kept)"
  }

  private static func summary(_ result: RepairReport) -> String {
    var parts: [String] = []
    if !result.runs.isEmpty {
      let proven = result.runs.count { !$0.proofs.isEmpty }
      parts.append(
        "\(Format.count(result.runs.count, "run")) repaired"
          + (proven == result.runs.count ? ", each proven equal" : ", \(Format.count(proven)) proven equal"))
    }
    if !result.shards.isEmpty { parts.append("\(Format.count(result.shards.count, "shard")) stored anew") }
    if let index = result.index { parts.append("index made anew (\(index.message))") }
    if !result.problems.isEmpty {
      parts.append("\(Format.count(result.problems.count, "problem")), named above")
    }
    return parts.isEmpty ? "nothing to repair" : parts.joined(separator: "; ")
  }
}
