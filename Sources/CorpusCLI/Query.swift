import Platform
import TerminalOutput
import ArgumentParser
import Corpus
import Dispatch
import MetricIndex
import Overview

struct Query: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ask a corpus's index in SQL.",
    discussion: """
      The tables are runs, checkpoints, shards, chunks and corpus; Schemas/index.sql describes them. The \
      index is opened read-only, and Ctrl-C stops a query that takes too long.

      EXAMPLE
        corpus query corpora/cartpole \\
          "SELECT run, max(train_return) FROM checkpoints GROUP BY run ORDER BY 2 DESC LIMIT 5"
        corpus query corpora/cartpole - < question.sql
      """)

  @OptionGroup var corpus: CorpusArgument

  @Argument(help: "One SQL statement, or - to read it from standard input.")
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

  private static func standardInput() throws(CorpusError) -> String {
    String(decoding: try Files.contents("/dev/stdin", limit: 1 << 20), as: UTF8.self)
  }

  func run() throws {
    let index = try IndexReader(opening: corpus.open(), allowStale: stale)
    let signals = Console.onInterrupt { index.interrupt() }
    defer { withExtendedLifetime(signals) {} }
    if let timeout {
      DispatchQueue.global().asyncAfter(deadline: .now() + timeout) { index.interrupt() }
    }
    let output = SpooledOutput()
    var printer = RowPrinter(format: format, output: output.write)
    let sql = sql == "-" ? try Self.standardInput() : sql
    // What was printed before a failure is printed.
    defer { output.finish() }
    try index.query(sql, columns: { printer.begin(columns: $0) }, row: { printer.add($0) })
    printer.end()
  }
}
