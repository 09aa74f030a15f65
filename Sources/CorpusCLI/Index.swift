import Platform
import ShardStore
import TerminalOutput
import ArgumentParser
import MetricIndex

struct Index: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring the index up to date with the shards.",
    discussion: """
      EXAMPLE
        corpus index corpora/cartpole
        corpus index --rebuild corpora/cartpole
        corpus index --forget corpora/cartpole
      """)

  @OptionGroup var corpus: ChangedCorpusArgument

  @Flag(help: "Make the index again from the shards alone.")
  var rebuild = false

  @Flag(help: "Forget runs whose shards are gone, which otherwise stay known as missing.")
  var forget = false

  @Flag(help: "Show no progress.")
  var quiet = false

  func run() throws {
    let directory = try corpus.open()
    let work = LongWork("index", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let progress = { (done: Int, total: Int) in
      display.update(done, of: total, unit: "shards") { [] }
    }
    // Where there is none, nobody waits for it meanwhile: it is made at one go.
    let report =
      try rebuild || !Files.exists(directory.indexPath)
      ? MetricIndex.rebuild(
        directory, forgetsMissing: forget, cancellation: work.cancellation, progress: progress)
      : MetricIndex(openingOrCreating: directory).synchronize(
        forgetsMissing: forget, cancellation: work.cancellation, progress: progress)
    work.end()
    let problems = report.problems + [report.missingError(directory)].compactMap { $0 }
    for problem in problems { Console.complain(problem) }
    if !quiet {
      Console.print(
        "\(Format.count(report.ingested, "shard")) taken up, \(Format.count(report.forgotten)) forgotten in "
          + Format.duration(display.elapsed))
    }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}
