import ShardStore
import Platform
import Maintenance
import TerminalOutput
import Tasks
import ArgumentParser
import Corpus

/// `corpus generate`: one subcommand a task, and one for recipe files, which may be of any task.
struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train networks and store their checkpoints.",
    discussion: """
      Runs that are stored already are not made again, so the same command goes on where it was stopped, \
      and several processes may share one range.

      EXAMPLE
        corpus generate cartpole --runs '0..<48' --out corpora/cartpole
        corpus generate mnist --runs '0..<48' --datasets Data --out corpora/mnist
        corpus generate cifar10 --runs '0..<48' --datasets Data --out corpora/cifar10
        corpus generate --recipe mnist.json --runs '0..<48' --datasets Data --out elsewhere/mnist
      """,
    subcommands: [
      GenerateCartpole.self, GenerateMNIST.self, GenerateCIFAR10.self, GenerateFromRecipe.self,
    ], defaultSubcommand: GenerateFromRecipe.self)
}

/// The flags that the tasks share.
struct GenerateOptions: ParsableArguments {
  @Option(help: "The runs to make, named by their seeds: '0..<500' (quoted, for the shell), 0...499 or 7.")
  var runs: String

  @Option(help: "The corpus's directory; made where it is missing.", completion: .directory)
  var out: String

  @Option(help: "How many runs to train at a time (default: one a core).")
  var workers: Int?

  @Option(
    help: "How new shards are stored: delta, zstd or raw (default: as the corpus does, delta in a new one).")
  var codec: Codec?

  @Flag(help: "Leave the index to a later `corpus index`, as on many machines with one network directory.")
  var noIndex = false

  @OptionGroup var locks: LockOption
  @OptionGroup var blocks: BlockOptions

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
  }

  func run(_ task: any TrainingTask) throws {
    try run(CorpusRequest(task))
  }

  func run(_ request: CorpusRequest) throws {
    let range = try SeedRange(parsing: runs)
    var request = request
    if let codec { request.codec = codec }
    let (opened, task) = try request.open(out)
    let directory = locks.applied(to: opened)
    let workers = workers ?? Workers.available
    let codec = codec ?? directory.manifest.codec
    let work = LongWork(task.name, quiet: quiet)
    defer { work.end() }
    let display = work.display
    let result: GenerationJob.Progress
    if let blocks = blocks.options {
      let job = BlockJob(
        task: task, directory: directory, seeds: range.seeds, workers: workers, codec: codec, options: blocks)
      result = try BlockOptions.exiting { () throws(CorpusError) in
        try job.run(cancellation: work.cancellation) { show($0, on: display) }
      }
    } else {
      let job = GenerationJob(
        task: task, directory: directory, seeds: range.seeds, workers: workers, codec: codec,
        isIndexing: !noIndex)
      result = try job.run(cancellation: work.cancellation) { show($0, on: display) }
    }
    work.end()
    if result.unindexed > 0 {
      Console.note(
        "\(Format.count(result.unindexed, "run")) \(result.unindexed == 1 ? "is" : "are") stored and not in the index, "
          + "which somebody has kept reading: run `corpus index \(directory.path)` when that has ended")
    }
    if !quiet {
      Console.print(Self.summary(result, seconds: display.elapsed, path: directory.path))
      if blocks.options != nil {
        Console.print("When all jobs have ended: corpus index \(directory.path), and then corpus verify")
      }
    }
  }

  private func show(_ progress: GenerationJob.Progress, on display: ProgressDisplay) {
    display.update(progress.stored, of: progress.total, unit: "runs") {
      var details: [String] = []
      if progress.made > 0 {
        details.append("\(Format.count(Int(Double(progress.checkpoints) / display.elapsed))) checkpoints/s")
        details.append(
          "\(Format.bytes(progress.compressedBytes)) "
            + "(\(Format.ratio(raw: progress.rawBytes, stored: progress.compressedBytes)))")
      }
      if progress.awaited > 0 { details.append("waiting for \(progress.awaited) that another process makes") }
      return details
    }
  }

  private static func summary(_ result: GenerationJob.Progress, seconds: Double, path: String) -> String {
    var parts = ["\(Format.count(result.total, "run")) in \(path)"]
    if result.made > 0 {
      parts.append(
        "\(Format.count(result.made)) made now in \(Format.duration(seconds)) "
          + "(\(Format.count(result.checkpoints)) checkpoints, \(Format.bytes(result.compressedBytes)), "
          + "\(Format.ratio(raw: result.rawBytes, stored: result.compressedBytes)) smaller than raw)")
    }
    parts += LeftOutNote.bad(result.bad)
    if result.found > 0 { parts.append("\(Format.count(result.found)) there before") }
    if result.madeElsewhere > 0 {
      parts.append("\(Format.count(result.madeElsewhere)) from another process meanwhile")
    }
    return parts.joined(separator: "; ")
  }
}
