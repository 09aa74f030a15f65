import TerminalOutput
import ArgumentParser
import MetricIndex

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what a corpus holds.",
    discussion: """
      EXAMPLE
        corpus status corpora/cartpole
      """)

  @OptionGroup var corpus: CorpusArgument

  func run() throws {
    let directory = try corpus.open()
    // An index that is behind is still worth showing; that it is behind is then the error.
    let index = try IndexReader(opening: directory, allowStale: true)
    for (name, value) in try CorpusSummary(index).lines {
      Console.print(Format.fact(name, value))
    }
    _ = try IndexReader(opening: directory)
  }
}
