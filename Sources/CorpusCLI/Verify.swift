import ArgumentParser
import Corpus
import MetricIndex
import ShardStore
import Synchronization

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check every checkpoint and metric against its checksums, and the index against the shards.",
    discussion: """
      EXAMPLE
        corpus verify corpora/cartpole
      """)

  @OptionGroup var corpus: CorpusArgument

  @Option(help: "How many shards to check at a time (default: one a core).")
  var workers: Int?

  @Flag(help: "Show no progress.")
  var quiet = false

  func run() throws {
    let cancellation = Cancellation()
    let signals = Console.onInterrupt { cancellation.cancel() }
    defer { withExtendedLifetime(signals) {} }
    let display = ProgressDisplay("verify", quiet: quiet)
    let verification = try CorpusVerification(corpus.open(), workers: workers ?? Workers.available)
    defer { display.finish() }
    let result = try verification.run(cancellation: cancellation) { result, total in
      display.update(result.shards, of: total, unit: "shards") {
        ["\(Format.bytes(Int(Double(result.parameterBytes) / display.elapsed)))/s of float32"]
          + (result.problems.isEmpty ? [] : [Format.count(result.problems.count, "problem")])
      }
    }
    display.finish()
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
