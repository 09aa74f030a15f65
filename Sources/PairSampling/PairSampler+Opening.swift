import MetricIndex
package import Corpus
public import ShardStore
package import VectorKernels

/// A corpus and its proportion of a mixture's items, in relation to those of the others.
public typealias WeightedCorpus = (corpus: CorpusDirectory, weight: Double)

extension PairSampler {
  /// Opens one corpus or several, and selects the runs and checkpoints that options ask for.
  ///
  /// - Throws: `invalidArgument` for corpora that cannot be mixed, naming them, and for a metric that they have not;
  ///   `invalidSQL` for a condition that SQLite does not accept; `emptySelection` if no run is left.
  package init(
    mixing corpora: [WeightedCorpus], _ options: PairStreamOptions, _ kernels: Kernels
  ) throws(CorpusError) {
    let opened = try Self.open(corpora, options)
    let first = opened[0].corpus
    let wanted = options.itemsPerEpoch ?? Self.defaultItems(first.directory.manifest.task)
    let runs = opened[0].selection.runs.count
    let items = opened.count == 1 ? max(1, wanted / runs) * runs : wanted
    guard items < 1 << 32 else {
      throw CorpusError(.invalidArgument, "an epoch has more than 2^32 items", remedy: "ask for fewer")
    }
    let mixture =
      opened.count == 1 ? nil : Mixture(weights: corpora.map(\.weight), items: items, seed: options.seed)
    var sources: [Source] = []
    for (number, (corpus, selection)) in opened.enumerated() {
      let visits = mixture?.count(of: number, items: items) ?? items
      guard visits > 0 else {
        throw CorpusError(
          .invalidArgument,
          "the share of \(corpus.directory.path) is too small for one item in \(mixture?.block ?? 0)",
          remedy: "make it larger, leave the corpus out, or ask for more items per epoch")
      }
      sources.append(
        Source(
          corpus: corpus, runCount: selection.runs.count, stages: try corpus.stages(selection, kernels),
          visits: visits))
    }
    self.sources = sources
    self.mixture = mixture
    seed = options.seed
    itemsPerEpoch = items
    let mixed = opened.count == 1 ? [] : ["shares \(corpora.map(\.weight))"]
    let metric = options.isBalanced ? ["metric \(first.metricName)"] : []
    let names = mixed + metric + options.drawingNames
    drawing = names.joined(separator: " ")
    fingerprint = try Self.fingerprint(sources.map(\.corpus), options, drawing: names)
  }

  private static func open(
    _ corpora: [WeightedCorpus], _ options: PairStreamOptions
  ) throws(CorpusError) -> [(corpus: StreamSource, selection: RunSelection)] {
    guard let first = corpora.first?.corpus, corpora.count <= 256 else {
      throw CorpusError(
        .invalidArgument, "a mixture has \(corpora.count) corpora", remedy: "mix from 1 to 256 of them")
    }
    for (corpus, weight) in corpora where !(weight > 0 && weight.isFinite) {
      throw CorpusError(
        .invalidArgument, "the share of \(corpus.path) is \(weight)",
        remedy: "make it a finite number above 0")
    }
    let name = first.manifest.metrics[try first.index(ofMetric: options.metric)].name
    var opened: [(StreamSource, RunSelection)] = []
    for (corpus, _) in corpora {
      guard corpus.manifest.architecture == first.manifest.architecture else {
        throw CorpusError(
          .invalidArgument,
          "\(corpus.path) has networks \(corpus.manifest.architecture.name), and \(first.path) has networks "
            + "\(first.manifest.architecture.name), of other tensors",
          remedy: "mix corpora of one architecture")
      }
      guard corpus.manifest.metrics.contains(where: { $0.name == name }) else {
        throw CorpusError(
          .invalidArgument, "\(corpus.path) has no metric \(name), by which \(first.path) is drawn",
          remedy: "choose a metric that all corpora have")
      }
      let source = try StreamSource(corpus, options, metric: corpus.index(ofMetric: name))
      opened.append((source, try source.select()))
    }
    return opened
  }

  /// The published numbers of items in an epoch.
  package static func defaultItems(_ task: String) -> Int { task == "cartpole" ? 806_400 : 100_800 }

  private static func fingerprint(
    _ corpora: [StreamSource], _ options: PairStreamOptions, drawing: [String]
  ) throws(CorpusError) -> String {
    var hash = try SHA256()
    for corpus in corpora {
      hash.update(Array(try corpus.identity().utf8))
      hash.update(corpus.table.steps ?? [])
    }
    let names = [
      "\(options.seed)", options.item.rawValue, options.order.rawValue, options.augmentation.rawValue,
      "\(options.itemsPerEpoch ?? 0)",
    ]
    // What is as published leaves no trace, so that streams of before can go on.
    hash.update(Array((names + drawing).joined(separator: " ").utf8))
    return ContentHash(bytes: hash.finish()).description
  }
}
