import PairSampling
import ArrayFiles
import ReleasedLayout
import Export
import TerminalOutput
import ArgumentParser
import Corpus
import MetricIndex
import PairStream

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write checkpoints, training pairs or metrics to a file that other tools read.",
    discussion: """
      safetensors, npz and hdf5 take the checkpoints for which a SQL condition on the columns of checkpoints and \
      runs holds, in order of run and step. lmdb takes whole runs, and its condition is on the columns of runs; it \
      writes the layout of the published corpora, a directory a run. csv takes the metrics of checkpoints without their \
      parameters. Runs whose status is not ok are left out.

      With --pairs, the file gets the first so many pairs of checkpoints that a trainer would get, permuted and \
      scaled; the condition is on the columns of checkpoints and runs.

      EXAMPLE
        corpus export corpora/cartpole --format safetensors --where "train_return > 400" --out best.safetensors
        corpus export corpora/mnist --format npz --where "run < 10 AND step = 199" --out last.npz
        corpus export corpora/mnist --format lmdb --runs '0..<100' --out released
        corpus export corpora/mnist --format csv --where "split = 'test'" --out metrics.csv
        corpus export corpora/mnist --format hdf5 --pairs 100000 --split train --metric test_loss --out pairs.h5
        corpus export corpora/mnist --format npz --pairs 9000 --metric test_loss --balance metric --out even.npz
      """)

  enum FileFormat: String, ExpressibleByArgument, CaseIterable {
    case safetensors, npz, hdf5, lmdb, csv, parquet
  }

  @OptionGroup var corpus: CorpusArgument

  @Option(help: "safetensors, npz, hdf5, lmdb or csv; parquet is written by the Python package.")
  var format: FileFormat

  @Option(name: .customLong("where"), help: "A SQL condition, such as \"train_return > 400\" (default: all).")
  var condition: String?

  @Option(help: "Only these runs: '0..<500' (quoted, for the shell), 0...499 or 7.")
  var runs: String?

  @Option(help: "The new file; for lmdb, the directory that gets the runs' directories.", completion: .file())
  var out: String

  @Option(help: "Only the first so many checkpoints (lmdb: runs).")
  var limit: Int?

  @Option(help: "Training pairs instead of checkpoints: so many.")
  var pairs: Int?

  @OptionGroup(title: "Options for --pairs") var pairOptions: PairOptions

  @OptionGroup var inclusion: InclusionFlags

  @Flag(help: "Show no progress.")
  var quiet = false

  mutating func validate() throws {
    try requireFile(out)
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    if let pairs {
      if pairs < 1 { throw ValidationError("--pairs must be at least 1") }
      if ArrayFormat(rawValue: format.rawValue) == nil {
        throw ValidationError("--pairs goes with safetensors, npz and hdf5")
      }
      if runs != nil || limit != nil {
        throw ValidationError("--pairs goes with --where, not with --runs or --limit")
      }
    } else if pairOptions.isGiven || inclusion.includeUnmeasured {
      throw ValidationError(
        "--metric, --split, --seed, --augment, --scale, --include-unmeasured and what says how pairs are drawn go "
          + "with --pairs")
    }
    if out.isEmpty { throw ValidationError("--out must not be empty") }
  }

  func run() throws {
    if let pairs, let format = ArrayFormat(rawValue: format.rawValue) {
      return try writePairs(pairs, format)
    }
    if format == .parquet { throw parquet }
    let index = try IndexReader(opening: corpus.open())
    let range = try runs.map { try SeedRange(parsing: $0).seeds }
    let work = LongWork("export", quiet: quiet) { index.interrupt() }
    defer { work.end() }
    if let format = ArrayFormat(rawValue: format.rawValue) {
      try writeCheckpoints(format, of: index, range, work)
    } else if format == .csv {
      try writeMetrics(of: index, range, work)
    } else {
      try writeRuns(of: index, range, work)
    }
  }

  private func writeCheckpoints(
    _ format: ArrayFormat, of index: IndexReader, _ range: Range<Int64>?, _ work: LongWork
  ) throws {
    let selection = try CheckpointSelection(
      index, where: condition, runs: range, includesBad: inclusion.includeBad, limit: limit)
    try CheckpointExport(selection, of: index).write(format, to: out, cancellation: work.cancellation) {
      done in
      work.display.update(done, of: selection.count, unit: "checkpoints") { [] }
    }
    work.end()
    let count = Format.count(selection.count, "checkpoint")
    report("\(count) of \(Format.count(selection.selectedRuns.count, "run"))", bad: selection.badRuns)
  }

  private func writePairs(_ count: Int, _ format: ArrayFormat) throws {
    var options = try pairOptions.settings()
    options.condition = condition
    options.batchSize = min(1024, count)
    inclusion.apply(to: &options)
    let stream = try PairStream(mixing: pairOptions.drawing.corpora(corpus), options: options)
    if !quiet { LeftOutNote.write(stream.leftOut, stream.metric.name) }
    let work = LongWork("export", quiet: quiet)
    defer { work.end() }
    try PairExport(stream).write(count, format, to: out, cancellation: work.cancellation) { done in
      work.display.update(done, of: count, unit: "pairs") { [] }
    }
    work.end()
    if !quiet {
      Console.print("\(Format.count(count, "pair")) of \(Format.count(stream.runCount, "run")) in \(out)")
    }
  }

  private func writeMetrics(of index: IndexReader, _ range: Range<Int64>?, _ work: LongWork) throws {
    let selection = try CheckpointSelection(
      index, where: condition, runs: range, includesBad: inclusion.includeBad, limit: limit)
    try MetricExport(selection, of: index).write(to: out, cancellation: work.cancellation) { done in
      work.display.update(done, of: selection.count, unit: "checkpoints") { [] }
    }
    work.end()
    let count = Format.count(selection.count, "checkpoint")
    report(
      "the metrics of \(count) of \(Format.count(selection.selectedRuns.count, "run"))",
      bad: selection.badRuns)
  }

  /// What to do for a format whose writer is Python's.
  private var parquet: CorpusError {
    func quoted(_ text: String) -> String {
      "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
    let range = runs.flatMap { try? SeedRange(parsing: $0).seeds }
    let parts =
      [condition.map { "(\($0))" }, inclusion.includeBad ? nil : "status = 'ok'"]
      + [range.map { "run >= \($0.lowerBound) AND run < \($0.upperBound)" }]
    let whole = parts.compactMap { $0 }.joined(separator: " AND ")
    let wanted = whole.isEmpty ? "" : ", where=\(quoted(whole))"
    return CorpusError(
      .invalidArgument, "Parquet is written by the Python package, which has a writer for it",
      remedy: "pip install pyarrow, and in Python: from checkpoint_corpus import Corpus; "
        + "Corpus(\(quoted(corpus.path))).to_parquet(\(quoted(out))\(wanted)); or choose --format csv")
  }

  private func writeRuns(of index: IndexReader, _ range: Range<Int64>?, _ work: LongWork) throws {
    let selection = try CheckpointSelection.runs(
      index, where: condition, runs: range, includesBad: inclusion.includeBad, limit: limit)
    try LMDBExport(index).write(selection.runs, to: out, cancellation: work.cancellation) { done in
      work.display.update(done, of: selection.runs.count, unit: "runs") { [] }
    }
    work.end()
    report(Format.count(selection.runs.count, "run"), bad: selection.bad)
  }

  private func report(_ what: String, bad: Int) {
    if quiet { return }
    let left =
      bad == 0
      ? "" : "; \(Format.count(bad, "run")) with another status than ok left out (--include-bad takes them)"
    Console.print("\(what) in \(out)\(left)")
  }
}
