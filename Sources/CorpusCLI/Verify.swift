import Platform
import Maintenance
import TerminalOutput
import Tasks
import ArgumentParser
import Corpus
import ShardStore
import Synchronization

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check every checkpoint and metric against its checksums, and the index against the shards.",
    discussion: """
      With --replay or --runs, stored runs are made again from their seeds instead, and must come out with every \
      bit the same.

      EXAMPLE
        corpus verify corpora/cartpole
        corpus verify corpora/cartpole --replay 3
      """)

  @OptionGroup var corpus: CorpusArgument

  @Option(help: "Make so many stored runs again, chosen at random, and compare their content hashes.")
  var replay: Int?

  @Option(help: "Make these stored runs again: '0..<5', 0...4 or 7.")
  var runs: String?

  @OptionGroup var datasets: DatasetOptions

  @Option(help: "How many shards to check, or runs to make, at a time (default: one a core).")
  var workers: Int?

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    if let replay, replay < 1 { throw ValidationError("--replay must be at least 1") }
    if let workers, workers < 1 { throw ValidationError("--workers must be at least 1") }
    if replay != nil && runs != nil { throw ValidationError("give --replay or --runs, not both") }
  }

  func run() throws {
    let directory = try corpus.open()
    if let runs {
      try replay(.range(SeedRange(parsing: runs).seeds), of: directory)
    } else if let replay {
      try self.replay(.random(replay), of: directory)
    } else {
      try verify(directory)
    }
  }

  private func replay(_ selection: Replay.Selection, of directory: CorpusDirectory) throws {
    let work = LongWork("replay", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let task = try Tasks.task(
      of: directory.manifest, path: directory.path, datasets: datasets.directory)
    let result = try Replay(
      directory: directory, task: task, workers: workers ?? Workers.available
    ).run(selection, cancellation: work.cancellation) { result, total in
      display.update(result.count, of: total, unit: "runs") {
        result.problems.isEmpty ? [] : [Format.count(result.problems.count, "problem")]
      }
    }
    work.end()
    for problem in result.problems { Console.complain(problem) }
    if !quiet {
      Console.print("\(result.equal) of \(Format.count(result.count, "run")) came out again, bit for bit")
    }
    if !result.problems.isEmpty { throw ExitCode.failure }
  }

  private func verify(_ directory: CorpusDirectory) throws {
    let work = LongWork("verify", quiet: quiet)
    defer { work.end() }
    let display = work.display
    let verification = CorpusVerification(directory, workers: workers ?? Workers.available)
    let result = try verification.run(cancellation: work.cancellation) { result, total in
      display.update(result.shards, of: total, unit: "shards") {
        ["\(Format.bytes(Int(Double(result.parameterBytes) / display.elapsed)))/s of float32"]
          + (result.problems.isEmpty ? [] : [Format.count(result.problems.count, "problem")])
      }
    }
    work.end()
    for problem in result.problems { Console.complain(problem) }
    let found =
      "\(Format.count(result.runs, "run")), \(Format.count(result.checkpoints, "checkpoint")) in "
      + Format.count(result.shards, "shard")
    guard result.problems.isEmpty else {
      Console.note("corpus: \(found) checked: \(Format.count(result.problems.count, "problem")), named above")
      throw ExitCode.failure
    }
    if !quiet { Console.print("\(found): all as recorded") }
  }
}
