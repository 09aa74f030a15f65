import ShardStore
import Corpus
import Platform
import TerminalOutput
public import ArgumentParser
import Foundation
import MetricIndex
public import PairSampling
import PairStream
import Overview

struct Stream: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the training pairs of a corpus as trainers get them, or measure how fast they come.",
    discussion: """
      EXAMPLE
        corpus stream corpora/cartpole --count 5
        corpus stream corpora/cartpole --measure --workers 1
        corpus stream corpora/cartpole --measure --cache memory --where "run < 1000"
        corpus stream corpora/mnist --metric test_loss --balance metric --balance-range 0.3:2.3 --starts 0.5
        corpus stream corpora/mnist --mix corpora/mnist-short=2 --stage "10; where=iteration > 100"
      """)

  @OptionGroup var corpus: CorpusArgument
  @OptionGroup var options: StreamOptions

  @Flag(help: "Print pairs/s, GB/s and where the time goes, instead of pairs.")
  var measure = false

  @Option(help: "How many pairs to print.")
  var count = 10

  @Option(
    help: "How many seconds to measure, after as long a warm-up as one batch or filling the cache takes.")
  var seconds = 5.0

  mutating func validate() throws {
    if count < 1 { throw ValidationError("--count must be at least 1") }
    if !(seconds > 0 && seconds < 1e6) { throw ValidationError("--seconds must be above 0") }
  }

  func run() throws {
    var settings = try options.settings()
    if !measure { settings.batchSize = min(settings.batchSize, count) }
    let corpora = try options.pairs.drawing.corpora(corpus)
    let stream = try PairStream(mixing: corpora, options: settings, isMeasuring: measure)
    LeftOutNote.write(stream.leftOut, stream.metric.name)
    let signals = Console.onInterrupt { stream.cancel() }
    defer { withExtendedLifetime(signals) {} }
    if measure { try measure(stream) } else { try show(stream) }
  }

  private func show(_ stream: PairStream) throws {
    Console.note(
      "corpus: \(Format.count(stream.runCount)) runs, \(Format.count(stream.itemsPerEpoch)) pairs an epoch, "
        + "\(Format.count(stream.batchesPerEpoch)) batches of \(stream.options.batchSize), parameters times "
        + Format.short(Double(stream.scale)))
    let metric = stream.metric.name
    var printer = RowPrinter(format: .table)
    let isMixture = stream.directories.count > 1
    printer.begin(
      columns: ["epoch", "item"] + (isMixture ? ["corpus"] : []) + [
        "run", "start_step", "target_step", "start_\(metric)", "target_\(metric)",
      ])
    var left = count
    while left > 0 {
      let batch = try stream.next()
      for i in 0..<min(left, batch.count) {
        let position: [SQLValue] = [.integer(Int64(batch.epoch)), .integer(Int64(batch.firstItem + i))]
        let origin: [SQLValue] = isMixture ? [.text(stream.directories[Int(batch.source[i])].path)] : []
        printer.add(
          position + origin + [
            .integer(batch.run[i]),
            .integer(Int64(batch.startStep[i])), .integer(Int64(batch.targetStep[i])),
            .real(Double(batch.startMetric[i])), .real(Double(batch.targetMetric[i])),
          ])
      }
      left -= batch.count
    }
    printer.end()
  }

  private func measure(_ stream: PairStream) throws {
    // The threads, the page cache and the decoded runs are not what is measured.
    var warmUp = 0
    repeat {
      _ = try stream.next()
      warmUp += 1
    } while stream.options.cache != .none && warmUp < stream.batchesPerEpoch
    for _ in 0..<stream.options.prefetch { _ = try stream.next() }
    let before = stream.statistics
    let began = ContinuousClock.now
    var pairs = 0
    var elapsed = 0.0
    repeat {
      pairs += try stream.next().count
      elapsed = began.duration(to: .now) / .seconds(1)
    } while elapsed < seconds
    let after = stream.statistics
    let workers = stream.options.workers ?? Workers.available
    let vectors = stream.options.item == .pairs ? 2 : 1
    let bytes = Double(pairs * vectors * 4 * stream.parameterCount)
    let made = Double(max(1, after.items - before.items))
    func share(_ name: String, _ nanoseconds: UInt64) {
      let each = Double(nanoseconds) / made
      let rate = Double(vectors * 4 * stream.parameterCount) / max(each, 1e-9)
      Console.print(
        Format.fact(
          name,
          "\(Format.fixed(each / 1000, 2)) us a pair of a worker's time, \(Format.fixed(rate, 2)) GB/s a worker"
        ))
    }
    Console.print(
      Format.fact(
        "pairs", "\(Format.count(Int(Double(pairs) / elapsed)))/s with \(Format.count(workers, "worker"))"))
    Console.print(Format.fact("float32", "\(Format.fixed(bytes / elapsed / 1e9, 2)) GB/s"))
    share("decoding", after.decoding - before.decoding)
    share("permuting", after.permuting - before.permuting)
    if stream.options.cache != .none {
      Console.print(
        Format.fact("from cache", "\(Format.fixed(100 * Double(after.cached - before.cached) / made, 1)) %"))
    }
    if after.replaced > 0 {
      Console.print(Format.fact("replaced", Format.count(after.replaced, "damaged item")))
    }
  }
}

/// Which pairs a stream draws, as flags.
struct PairOptions: ParsableArguments {
  @Option(help: "The metric of starts and targets (default: the corpus's last one).")
  var metric: String?

  @Option(help: "The seed of everything that is drawn (default: 0).")
  var seed: UInt64?

  @Option(help: "The side of the split: train, test or all (default: train).")
  var split: PairStreamOptions.Split?

  @Option(
    help:
      "What is done to hidden units: none, permute or canonical (default: permute where the corpus says how)."
  )
  var augment: PairStreamOptions.Augmentation?

  @Option(help: "What parameters are multiplied by (default: 0.538 / their standard deviation).")
  var scale: Float?

  @OptionGroup var drawing: DrawingOptions

  var isGiven: Bool {
    metric != nil || seed != nil || split != nil || augment != nil || scale != nil || drawing.isGiven
  }

  func settings() throws -> PairStreamOptions {
    var options = PairStreamOptions()
    options.metric = metric
    options.seed = seed ?? 0
    options.split = split ?? .train
    options.augmentation = augment ?? .automatic
    if let scale { options.scale = .factor(scale) }
    drawing.apply(to: &options)
    return options
  }
}

/// How a stream makes batches of them, as flags.
struct StreamOptions: ParsableArguments {
  @OptionGroup var pairs: PairOptions

  @Option(name: .customLong("where"), help: "A SQL condition on the columns of runs and checkpoints.")
  var condition: String?

  @OptionGroup var inclusion: InclusionFlags

  @Option(help: "Pairs in a batch.")
  var batchSize = 1024

  @Option(help: "The order of the runs: random, or sequential for disks that hate seeks.")
  var order = PairStreamOptions.Order.random

  @Option(help: "Where decoded runs are kept: memory, or a directory.")
  var cache: String?

  @Option(help: "The most that the cache may take, in MB.")
  var cacheSize = 4096

  @Option(help: "Threads that decode (default: one a core).")
  var workers: Int?

  func settings() throws -> PairStreamOptions {
    var options = try pairs.settings()
    options.condition = condition
    inclusion.apply(to: &options)
    options.batchSize = batchSize
    options.order = order
    options.workers = workers
    let bytes = cacheSize * 1_000_000
    if let cache {
      options.cache = cache == "memory" ? .memory(bytes: bytes) : .disk(path: cache, bytes: bytes)
    }
    return options
  }
}

extension PairStreamOptions.Split: ExpressibleByArgument {}
extension PairStreamOptions.Order: ExpressibleByArgument {}
extension PairStreamOptions.Augmentation: ExpressibleByArgument {}
