import TerminalOutput
import ArgumentParser
import Corpus
import Foundation
import MetricIndex
import Overview
import Platform
import ShardStore

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a corpus holds, or how far its generation has come.",
    discussion: """
      With --watch it looks at files and claims alone, again and again: it needs no index, and disturbs nobody.

      EXAMPLE
        corpus status corpora/cartpole
        corpus status corpora/mnist --watch --runs '0..<10728' --quota 100e9
      """)

  @OptionGroup var corpus: CorpusArgument

  @Flag(help: "Show how far the generation in blocks has come, by nodes, until it has ended or at Ctrl-C.")
  var watch = false

  @Option(help: "With --watch: the runs that are to be made, as `corpus generate` has been told.")
  var runs: String?

  @Option(help: "With --watch: the bytes that the corpus may take (default: what the disk has room for).")
  var quota: Double?

  @Option(help: "With --watch: seconds from one look to the next (default: 2; where nobody looks, 60).")
  var every: Double?

  mutating func validate() throws {
    guard (quota ?? 1) > 0, (every ?? 1) > 0, (quota ?? 1) < 1e18 else {
      throw ValidationError("--quota and --every must be above 0")
    }
  }

  func run() throws {
    let directory = try corpus.open()
    if watch { return try watch(directory) }
    // An index that is behind is still worth showing; that it is behind is then the error.
    let index = try IndexReader(opening: directory, allowStale: true)
    for (name, value) in try CorpusSummary(index).lines {
      Console.print(Format.fact(name, value))
    }
    _ = try IndexReader(opening: directory)
  }

  private func watch(_ directory: CorpusDirectory) throws {
    let seeds = try runs.map { text throws(CorpusError) in try SeedRange(parsing: text).seeds }
    let quota = quota.map { Int($0) }
    let work = LongWork("status", quiet: true)
    let text = LiveText()
    while true {
      let survey = try GenerationSurvey(of: directory, seeds: seeds)
      if text.isTerminal {
        text.show(survey.lines(directory.path, quota: quota))
      } else {
        text.log(survey.line(quota: quota))
      }
      if survey.left == 0 && survey.nodes.isEmpty { return }
      var rest = every ?? (text.isTerminal ? 2 : 60)
      while rest > 0 {
        if work.cancellation.isCancelled { return }
        Thread.sleep(forTimeInterval: min(rest, 0.2))
        rest -= 0.2
      }
    }
  }
}
