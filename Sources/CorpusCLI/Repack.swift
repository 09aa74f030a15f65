import Maintenance
import TerminalOutput
import ArgumentParser
import Corpus
import MetricIndex
import Overview

struct Repack: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store a corpus in another codec, bit for bit the same values.",
    discussion: """
      New runs of the corpus are then stored in that codec, too. Shards in that codec are left as they are, unless
      they are of the first releases: those are written anew, with the checksums that they lack.

      EXAMPLE
        corpus repack --codec zstd corpora/cartpole
      """)

  @OptionGroup var corpus: ChangedCorpusArgument

  @Option(help: "delta (smallest), zstd (read by h5py with hdf5plugin) or raw (mapped into memory).")
  var codec: Codec

  @Flag(help: "Show no progress.")
  var quiet = false

  func run() throws {
    let directory = try corpus.open()
    let work = LongWork("repack", quiet: quiet)
    defer { work.end() }
    let display = work.display
    var index = try IndexBesideWork(directory)
    let before = try index.agree(work.cancellation)
    let total = try IndexReader(opening: directory, allowStale: true)
      .rows("SELECT sum(runs) FROM shards WHERE codec <> '\(codec.rawValue)'")[0][0].whole
    let report = try Repacking(directory: directory, codec: codec).run(
      cancellation: work.cancellation,
      progress: { done, file in display.update(done, of: max(total, done), unit: "runs") { [file] } },
      indexing: { (file) throws(CorpusError) in try index.takeUp(file) })
    work.end()
    let problems = before + report.problems
    for problem in problems { Console.complain(problem) }
    index.note()
    if !quiet {
      Console.print(
        "\(Format.count(report.files.count, "shard")) stored as \(codec.rawValue) in "
          + Format.duration(display.elapsed))
    }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}
