import TerminalOutput
import ArgumentParser
import Corpus
import Overview

struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what whole corpora take: core-hours, hours on many cores, bytes.",
    discussion: """
      It makes some runs of each task by the published recipe, on all cores of this machine, for as long as --seconds \
      says, and multiplies. Processor time is what counts, so that it may be done beside other work; memory that others \
      use at the same time still makes runs slower, and other processors have other speeds.

      EXAMPLE
        corpus plan mnist cifar10 cartpole --cores 1024
        corpus plan mnist --runs 20000 --seconds 300 --cores 512 --cores-per-node 128
      """)

  @Argument(help: "The tasks: mnist, cifar10 or cartpole.")
  var tasks: [PublishedCorpus] = PublishedCorpus.allCases

  @Option(help: "The cores to spread the work over.")
  var cores = 1024

  @Option(help: "The cores of a node, which makes one block of runs at a time.")
  var coresPerNode = 64

  @Option(help: "The runs of each corpus (default: as many as were published).")
  var runs: Int?

  @Option(help: "Seconds to make runs of each task; at least two runs on each core are made.")
  var seconds = 60.0

  @OptionGroup var datasets: DatasetOptions

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    guard cores > 0, coresPerNode > 0, (runs ?? 1) > 0, (runs ?? 1) <= 1 << 40, seconds > 0 else {
      throw ValidationError("--cores, --cores-per-node, --runs and --seconds must be above 0")
    }
  }

  func run() throws {
    let work = LongWork("plan", quiet: quiet)
    defer { work.end() }
    var plans: [GenerationPlan] = []
    for corpus in tasks {
      let task = try corpus.task(datasets: datasets.directory)
      let measurement = try GenerationMeasurement(task, seconds: seconds, cancellation: work.cancellation) {
        work.display.update(min(Int($0), Int(seconds)), of: Int(seconds), unit: "s") { [corpus.rawValue] }
      }
      plans.append(
        GenerationPlan(
          measurement, runs: runs ?? corpus.runs, runsPerShard: corpus.runsPerShard, cores: cores,
          coresPerNode: coresPerNode))
    }
    work.end()
    for line in GenerationPlan.table(plans) + [""] + plans.map(\.basis) { Console.print(line) }
  }
}
