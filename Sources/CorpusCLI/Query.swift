import ArgumentParser
import Corpus
import Dispatch
import MetricIndex

struct Query: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ask a corpus's index in SQL.",
    discussion: """
      The tables are runs, checkpoints, shards, chunks and corpus; Schemas/index.sql describes them. The \
      index is opened read-only, and Ctrl-C stops a query that takes too long.

      EXAMPLE
        corpus query corpora/cartpole \\
          "SELECT run, max(train_return) FROM checkpoints GROUP BY run ORDER BY 2 DESC LIMIT 5"
      """)

  @OptionGroup var corpus: CorpusArgument

  @Argument(help: "One SQL statement.")
  var sql: String

  @Option(help: "How to print the rows: table, csv or json.")
  var format: RowFormat = .table

  @Option(help: "Give up after so many seconds.")
  var timeout: Double?

  @Flag(help: "Use the index even if it is older than the shards.")
  var stale = false

  mutating func validate() throws {
    if let timeout, !(timeout > 0) { throw ValidationError("--timeout must be more than 0 seconds") }
  }

  func run() throws {
    let index = try IndexReader(opening: corpus.open(), allowStale: stale)
    let signals = Console.onInterrupt { index.interrupt() }
    defer { withExtendedLifetime(signals) {} }
    if let timeout {
      DispatchQueue.global().asyncAfter(deadline: .now() + timeout) { index.interrupt() }
    }
    var printer = RowPrinter(format: format)
    try index.query(sql, columns: { printer.begin(columns: $0) }, row: { printer.add($0) })
    printer.end()
  }
}
