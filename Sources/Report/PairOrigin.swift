import Corpus
import GenerativeModel
import MetricIndex
import ModelTraining
import PairSampling
import ShardStore
import VectorKernels

/// Where the pairs come from that a model has learned from: the first ones of its own sequence, drawn again.
struct PairOrigin {
  let facts: [CorpusSection.Fact]
  /// The metric of the starts and of the targets.
  private let starts: [Float]
  private let targets: [Float]

  private static let limit = 20_000

  /// - Throws: `emptySelection` where nothing is left to draw from.
  init(_ description: ModelDescription, _ corpus: CorpusDirectory, _ index: IndexReader) throws(CorpusError) {
    let options = Trainer.pairOptions(description)
    let sampler = try PairSampler(mixing: [(corpus, 1)], options, Kernels())
    let source = sampler.sources[0].corpus
    let epoch = Epoch(0, of: sampler)
    let finder = RunFinder(
      source.table, pool: ShardPool(corpus, table: source.table, metric: source.metric, index: source.index))
    var draws: [PairDraw] = []
    for item in 0..<min(Self.limit, sampler.itemsPerEpoch) {
      draws.append(try epoch.draw(epoch.turn(ofItem: item), item: item, finder: finder))
    }
    let runs = Set(draws.map(\.runIndex)).sorted()
    let values = try index.values(of: description.metric.name, runs: runs.map { source.table.rows[$0].run })
    var metrics: [Int: [Int32: Float]] = [:]
    for (run, values) in zip(runs, values) {
      metrics[run] = Dictionary(values.map { ($0.step, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
    starts = draws.compactMap { metrics[$0.runIndex]?[$0.start] }
    targets = draws.compactMap { metrics[$0.runIndex]?[$0.target] }

    let training = description.training
    var facts = [
      CorpusSection.Fact(
        name: "pairs come from",
        value: "\(CorpusSection.grouped(sampler.sources[0].runCount)) training runs, "
          + "\(CorpusSection.grouped(sampler.itemsPerEpoch)) an epoch; the model has seen "
          + "\(CorpusSection.grouped(description.step * training.batch)) of them"),
      CorpusSection.Fact(
        name: "their targets",
        value:
          "balance \(training.balance), directions \(training.directions), \(Int(100 * training.unchanged)) % unchanged"
      ),
      CorpusSection.Fact(
        name: "their starts",
        value: training.initialStarts.map {
          "\(Int(100 * $0)) % at a run's first checkpoint, the others anywhere"
        }
          ?? "anywhere, as published"),
    ]
    if let condition = options.condition {
      facts.append(CorpusSection.Fact(name: "of checkpoints where", value: condition))
    }
    let left = source.leftOut.reasons(description.metric.name).map(\.what)
    if !left.isEmpty {
      facts.append(CorpusSection.Fact(name: "left out", value: left.joined(separator: ", ")))
    }
    self.facts = facts
  }

  func layers(_ edges: [Double]) -> [CorpusSection.Layer] {
    [
      CorpusSection.Layer(name: "starts of the model's pairs", shares: MetricCourse.shares(starts, edges)),
      CorpusSection.Layer(name: "targets of the model's pairs", shares: MetricCourse.shares(targets, edges)),
    ]
  }
}
