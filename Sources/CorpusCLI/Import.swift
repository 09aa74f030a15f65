import ShardStore
import Platform
import ReleasedLayout
import TerminalOutput
import ArgumentParser
import Corpus

/// `corpus import`: one subcommand a foreign layout.
struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn corpora of other layouts into shards and index.",
    discussion: """
      EXAMPLE
        corpus import lmdb checkpoint_datasets/mnist --out corpora/mnist-released
      """,
    subcommands: [ImportLMDB.self])
}

struct ImportLMDB: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lmdb",
    abstract: "Import the published LMDB directories.",
    discussion: """
      Each run is checked against its runs.json, stored, read back and compared. Runs that are stored already are \
      not read again, so the same command goes on where it was stopped. The index is brought up to date at the end. What cannot be imported is named at the \
      end, and the rest is imported all the same.

      EXAMPLE
        corpus import lmdb checkpoint_datasets/mnist --out corpora/mnist-released
        corpus import lmdb checkpoint_datasets/cartpole --task cartpole --workers 4 --out corpora/cartpole-released
      """)

  enum TaskName: String, ExpressibleByArgument, CaseIterable {
    case mnist, cifar10, cartpole
  }

  @Argument(
    help: ArgumentHelp("The directory that holds the LMDB directories.", valueName: "dir"),
    completion: .directory)
  var source: String

  @Option(help: "The corpus's directory; made where it is missing.", completion: .directory)
  var out: String

  @Option(help: "What it must hold (default: as the sizes of the tensors say).")
  var task: TaskName?

  @Option(help: "The optimizer steps of an epoch (default: as the last checkpoint of a finished run says).")
  var stepsPerEpoch: Int?

  @Option(
    help: "How new shards are stored: delta, zstd or raw (default: as the corpus does, delta in a new one).")
  var codec: Codec?

  @Option(
    help:
      "How many runs to import at a time (default: one more than cores, as each waits for the disk at times)."
  )
  var workers: Int?

  @Flag(help: "Import runs without DONE.txt, too.")
  var unfinished = false

  @OptionGroup var locks: LockOption

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
    if let stepsPerEpoch, stepsPerEpoch < 1 { throw ValidationError("--steps-per-epoch must be at least 1") }
  }

  func run() throws {
    let release = try Release(opening: source)
    var job = try LMDBImport(
      release, into: out, task: task?.rawValue, stepsPerEpoch: stepsPerEpoch, codec: codec,
      includesUnfinished: unfinished)
    job.directory = locks.applied(to: job.directory)
    let work = LongWork("import", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let result = try job.run(workers: workers ?? Workers.available + 1, cancellation: work.cancellation) {
      progress in
      display.update(progress.done, of: progress.total, unit: "runs") {
        ["\(Format.bytes(Int(Double(progress.rawBytes) / display.elapsed)))/s of float32"]
          + (progress.indexed == 0 ? [] : ["\(Format.count(progress.indexed, "shard")) indexed"])
          + (progress.problems.isEmpty ? [] : [Format.count(progress.problems.count, "problem")])
      }
    }
    work.end()
    for problem in result.problems { Console.complain(problem) }
    if !quiet { Console.print(Self.summary(result, seconds: display.elapsed, path: job.directory.path)) }
    if !result.problems.isEmpty { throw ExitCode.failure }
  }

  private static func summary(_ result: LMDBImport.Progress, seconds: Double, path: String) -> String {
    var parts = [
      "\(Format.count(result.stored, "run")) imported into \(path) in \(Format.duration(seconds)) "
        + "(\(Format.count(result.checkpoints)) checkpoints, \(Format.bytes(result.compressedBytes)), "
        + "\(Format.ratio(raw: result.rawBytes, stored: result.compressedBytes)) smaller than raw)"
    ]
    parts += LeftOutNote.bad(result.bad)
    if result.found > 0 { parts.append("\(Format.count(result.found)) there before") }
    if result.elsewhere > 0 { parts.append("\(Format.count(result.elsewhere)) left to another process") }
    if result.failed > 0 { parts.append("\(Format.count(result.failed)) left out, for reasons named above") }
    return parts.joined(separator: "; ")
  }
}
