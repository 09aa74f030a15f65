import Maintenance
import TerminalOutput
import ArgumentParser
import Corpus

struct Compact: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Seal the files of single runs into shards of many.",
    discussion: """
      The compressed chunks are copied as they are; each run is proven against its hash before its file goes.

      EXAMPLE
        corpus compact corpora/cartpole
      """)

  @OptionGroup var corpus: ChangedCorpusArgument

  @Option(help: "The size that a sealed shard may reach, in MB.")
  var shardSize = 512

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if shardSize < 1 { throw ValidationError("--shard-size must be at least 1") }
  }

  func run() throws {
    let directory = try corpus.open()
    let work = LongWork("compact", quiet: quiet)
    defer { work.end() }
    let display = work.display
    var index = try IndexBesideWork(directory)
    let report = try Compaction(directory: directory, bytesPerShard: shardSize * 1_000_000).run(
      cancellation: work.cancellation,
      progress: { stage, done, total in
        display.update(done, of: total, unit: "runs") { [stage.rawValue] }
      },
      indexing: { (file) throws(CorpusError) in try index.takeUp(file) })
    let problems = report.problems + (try index.agree(work.cancellation))
    work.end()
    for problem in problems { Console.complain(problem) }
    index.note()
    if !quiet {
      let duplicates =
        report.duplicates == 0 ? "" : ", \(Format.count(report.duplicates, "duplicate")) removed"
      let awaited =
        report.awaited == 0
        ? "" : ", \(Format.count(report.awaited)) left to their makers for now"
      Console.print(
        "\(Format.count(report.runs, "run")) sealed into \(Format.count(report.sealedFiles.count, "shard"))"
          + "\(duplicates)\(awaited) in \(Format.duration(display.elapsed))")
    }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}
