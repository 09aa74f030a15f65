public import ShardStore
import Corpus
import MetricIndex
import VectorKernels

extension PairStream {
  /// A corpus and its proportion of the items, in relation to those of the others.
  public typealias WeightedCorpus = (corpus: CorpusDirectory, weight: Double)

  /// The corpora of a stream, opened.
  ///
  /// - Throws: `invalidArgument` for corpora that cannot be mixed, naming them.
  static func sources(_ corpora: [WeightedCorpus], _ options: PairStreamOptions) throws(CorpusError)
    -> [StreamSource]
  {
    guard let first = corpora.first?.corpus, corpora.count <= 256 else {
      throw CorpusError(
        .invalidArgument, "a mixture has \(corpora.count) corpora", remedy: "mix from 1 to 256 of them")
    }
    for (corpus, weight) in corpora where !(weight > 0 && weight.isFinite) {
      throw CorpusError(
        .invalidArgument, "the share of \(corpus.path) is \(weight)",
        remedy: "make it a finite number above 0"
      )
    }
    let metric = try first.index(ofMetric: options.metric)
    let name = first.manifest.metrics[metric].name
    var sources = [try StreamSource(first, options, metric: metric)]
    for (corpus, _) in corpora.dropFirst() {
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
      sources.append(try StreamSource(corpus, options, metric: corpus.index(ofMetric: name)))
    }
    return sources
  }

  /// The published numbers of items in an epoch.
  package static func defaultItems(_ task: String) -> Int { task == "cartpole" ? 806_400 : 100_800 }

  static func sampler(
    _ sources: [StreamSource], corpora: [WeightedCorpus], _ options: PairStreamOptions, _ kernels: Kernels
  ) throws(CorpusError) -> PairSampler {
    let first = sources[0]
    let wanted = options.itemsPerEpoch ?? defaultItems(first.directory.manifest.task)
    let runs = first.selection.runs.count
    let items = sources.count == 1 ? max(1, wanted / runs) * runs : wanted
    guard items < 1 << 32 else {
      throw CorpusError(.invalidArgument, "an epoch has more than 2^32 items", remedy: "ask for fewer")
    }
    let mixture =
      sources.count == 1 ? nil : Mixture(weights: corpora.map(\.weight), items: items, seed: options.seed)
    var drawn: [PairSampler.Source] = []
    for (number, source) in sources.enumerated() {
      let visits = mixture?.count(of: number, items: items) ?? items
      guard visits > 0 else {
        throw CorpusError(
          .invalidArgument,
          "the share of \(source.directory.path) is too small for one item in \(mixture?.block ?? 0)",
          remedy: "make it larger, leave the corpus out, or ask for more items per epoch")
      }
      drawn.append(
        PairSampler.Source(table: source.table, stages: try source.stages(kernels), visits: visits))
    }
    return PairSampler(
      sources: drawn, mixture: mixture, seed: options.seed, item: options.item, itemsPerEpoch: items)
  }

  /// The published deviation of scaled parameters.
  private static let deviation = 0.538
  /// By which factor the deviations of corpora may differ that are scaled alike.
  private static let ratio: Float = 2

  /// What parameters of all corpora are multiplied by.
  static func scale(
    _ sources: [StreamSource], _ options: PairStreamOptions, _ parameterCount: Int
  ) throws(CorpusError) -> Float {
    if case .factor(let factor) = options.scale { return factor }
    let own = try sources.map { (source) throws(CorpusError) in try scale([source], parameterCount) }
    for (source, scale) in zip(sources, own) where max(scale / own[0], own[0] / scale) > ratio {
      throw CorpusError(
        .invalidArgument,
        "the parameters in \(source.directory.path) would be scaled by \(scale), and those in "
          + "\(sources[0].directory.path) by \(own[0])",
        remedy: "give the scale of both as a number, or mix corpora of alike parameters")
    }
    return try scale(sources, parameterCount)
  }

  private static func scale(_ sources: [StreamSource], _ parameterCount: Int) throws(CorpusError) -> Float {
    let count = Double(sources.reduce(0) { $0 + $1.table.checkpoints }) * Double(parameterCount)
    let mean = sources.reduce(0) { $0 + $1.table.sum } / count
    let variance = sources.reduce(0) { $0 + $1.table.sumOfSquares } / count - mean * mean
    guard variance > 0, variance.isFinite else {
      throw CorpusError(
        .invalidArgument,
        "the parameters in \(sources[0].directory.path) have no finite deviation to scale by",
        remedy: "give the scale as a number")
    }
    return Float(deviation / variance.squareRoot())
  }

  /// What differs from the published sampling.
  static func drawing(_ sources: [StreamSource], corpora: [WeightedCorpus], _ options: PairStreamOptions)
    -> [String]
  {
    let mixed = sources.count == 1 ? [] : ["shares \(corpora.map(\.weight))"]
    let metric =
      options.isBalanced ? ["metric \(sources[0].directory.manifest.metrics[sources[0].metric].name)"] : []
    return mixed + metric + options.drawingNames
  }

  static func fingerprint(
    _ sources: [StreamSource], corpora: [WeightedCorpus], _ options: PairStreamOptions
  ) throws(CorpusError) -> String {
    var hash = try SHA256()
    for source in sources {
      hash.update(Array(try source.identity().utf8))
      hash.update(source.table.steps ?? [])
    }
    let parts = [
      "\(options.seed)", options.item.rawValue, options.order.rawValue, options.augmentation.rawValue,
      "\(options.itemsPerEpoch ?? 0)",
    ]
    // What is as published leaves no trace, so that streams of before can go on.
    hash.update(Array((parts + drawing(sources, corpora: corpora, options)).joined(separator: " ").utf8))
    return ContentHash(bytes: hash.finish()).description
  }
}
