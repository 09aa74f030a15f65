import TerminalOutput
import ArgumentParser
import MetricIndex

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw a run's learning curve, with its recipe and status.",
    discussion: """
      EXAMPLE
        corpus show corpora/cartpole 7
      """)

  @OptionGroup var corpus: CorpusArgument

  @Argument(help: ArgumentHelp("The run's number, which is its seed.", valueName: "run"))
  var number: Int64

  @Option(help: "The metric to draw (default: the corpus's last one).")
  var metric: String?

  func run() throws {
    let directory = try corpus.open()
    let index = try IndexReader(opening: directory, allowStale: true)
    let view = try RunView(run: number, metric: metric, index: index)
    for (name, value) in view.facts {
      Console.print(Format.fact(name, value))
    }
    Console.print("")
    Console.write(view.chart)
  }
}
