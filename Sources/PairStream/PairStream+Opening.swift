import MetricIndex
package import Corpus
package import PairSampling
package import ShardStore

extension PairStream {
  /// The augmentation that is meant, if the corpora allow it: all of them declare the same.
  static func augmentation(
    _ wanted: PairStreamOptions.Augmentation, _ corpora: [WeightedCorpus]
  ) throws(CorpusError) -> PairStreamOptions.Augmentation {
    guard let directory = corpora.first?.corpus else { return wanted }
    let declared = Set(corpora.map(\.corpus.manifest.architecture.permutations))
    let groups = declared.count == 1 ? directory.manifest.architecture.permutations : nil
    let isDeclared = groups.map { !$0.isEmpty } ?? false
    if wanted == .automatic { return isDeclared ? .permute : .none }
    guard wanted == .none || isDeclared else { throw refusal(of: wanted, directory) }
    return wanted
  }

  /// Why hidden units stay where they are.
  package static func refusal(
    of wanted: PairStreamOptions.Augmentation, _ corpus: CorpusDirectory
  ) -> CorpusError {
    let architecture = corpus.manifest.architecture
    return CorpusError(
      .invalidArgument,
      "\(corpus.path) \(architecture.permutations == nil ? "does not say which" : "says that no") axes of the tensors of its "
        + "architecture \(architecture.name) may be permuted together, and augmentation "
        + "\(wanted.rawValue) could change what the networks compute",
      remedy:
        "choose augmentation none, or declare permutation groups: Python's Writer derives them from a module "
        + "and example_input, or takes them as permutations; Schemas/corpus.md describes them")
  }

  /// The batches of an epoch that a worker gives.
  static func batches(_ items: Int, _ options: PairStreamOptions) throws(CorpusError) -> Int {
    let batches = items / options.batchSize / options.worldSize
    guard batches > 0 else {
      throw CorpusError(
        .emptySelection,
        "an epoch has \(items) items, fewer than the \(options.batchSize * options.worldSize) of one batch"
          + (options.worldSize > 1 ? " of all \(options.worldSize) ranks" : ""),
        remedy: "choose a smaller batch size or more items per epoch")
    }
    let ofWorker = (batches - options.workerIndex + options.workerCount - 1) / options.workerCount
    guard ofWorker > 0 else {
      throw CorpusError(
        .emptySelection, "nothing is left for share \(options.workerIndex) of an epoch's \(batches) batches",
        remedy: "make fewer shares")
    }
    return ofWorker
  }

  /// The published deviation of scaled parameters.
  private static let deviation = 0.538
  /// By which factor the deviations of corpora may differ that are scaled alike.
  private static let ratio: Float = 2

  /// What parameters of all corpora are multiplied by.
  static func scale(
    _ corpora: [StreamSource], _ options: PairStreamOptions, _ parameterCount: Int
  ) throws(CorpusError) -> Float {
    if case .factor(let factor) = options.scale { return factor }
    let own = try corpora.map { (corpus) throws(CorpusError) in try scale([corpus], parameterCount) }
    for (corpus, scale) in zip(corpora, own) where max(scale / own[0], own[0] / scale) > ratio {
      throw CorpusError(
        .invalidArgument,
        "the parameters in \(corpus.directory.path) would be scaled by \(scale), and those in "
          + "\(corpora[0].directory.path) by \(own[0])",
        remedy: "give the scale of both as a number, or mix corpora of alike parameters")
    }
    return try scale(corpora, parameterCount)
  }

  private static func scale(_ corpora: [StreamSource], _ parameterCount: Int) throws(CorpusError) -> Float {
    let count = Double(corpora.reduce(0) { $0 + $1.table.checkpoints }) * Double(parameterCount)
    let mean = corpora.reduce(0) { $0 + $1.table.sum } / count
    let variance = corpora.reduce(0) { $0 + $1.table.sumOfSquares } / count - mean * mean
    guard variance > 0, variance.isFinite else {
      throw CorpusError(
        .invalidArgument,
        "the parameters in \(corpora[0].directory.path) have no finite deviation to scale by",
        remedy: "give the scale as a number")
    }
    return Float(deviation / variance.squareRoot())
  }
}
