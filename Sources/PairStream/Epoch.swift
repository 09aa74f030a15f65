import Corpus
import MetricIndex

/// The items of one epoch: a pure function of the seed, the epoch and the place.
struct Epoch: Sendable {
  let sampler: PairSampler
  let number: Int
  private let parts: [Part]
  /// Of the blocks in which corpora are mixed.
  private let mixing: [KeyedPermutation]

  /// What it has of a corpus.
  private struct Part: Sendable {
    let stage: DrawingStage
    let order: VisitOrder
  }

  /// Whose turn it is at a place.
  struct Visit: Sendable {
    let source: Int
    /// The run's place in the selection of the epoch's stage.
    let position: Int
  }

  init(_ number: Int, of sampler: PairSampler) {
    self.sampler = sampler
    self.number = number
    func stream(_ place: Int) -> UInt64 {
      PairSampler.stream(PairSampler.Purpose.order.rawValue, epoch: number, place: place)
    }
    parts = sampler.sources.enumerated().map { place, source in
      let stage = source.stage(ofEpoch: number)
      var random = PhiloxGenerator(seed: sampler.seed, stream: stream(PairSampler.weightsPlace + place))
      let visits = RunVisits(
        stage.selection, count: source.places, offset: Double(random.nextWord()) * 0x1p-32)
      let order = VisitOrder(stage.selection, visits: visits, seed: sampler.seed, stream: stream(place))
      return Part(stage: stage, order: order)
    }
    mixing = sampler.mixture?.orders(ofEpoch: number, places: sampler.itemsPerEpoch) ?? []
  }

  /// The windows of stretches of a corpus that it reads one after the other; none if it goes through the runs in any
  /// order.
  func windows(of source: Int) -> StretchOrder? { parts[source].order.windows }

  /// The window of a corpus that is about to be read at a place.
  func window(of source: Int, at place: Int) -> Int {
    let reached = sampler.mixture?.reached(place, of: source) ?? place
    return windows(of: source)?.window(at: min(reached, sampler.sources[source].places - 1)) ?? 0
  }

  /// Whether what is drawn depends on metrics.
  var isBalanced: Bool { parts.contains { $0.stage.balance != nil } }

  /// Whose turn it is at a place.
  func visit(_ place: Int) -> Visit {
    let (source, own) = sampler.mixture?.find(place, orders: mixing) ?? (0, place)
    let position = parts[source].order.run(at: own) { window in
      let stream = PairSampler.stream(
        PairSampler.Purpose.window.rawValue, epoch: number, place: source * PairSampler.windowPlaces + window)
      return (sampler.seed, stream)
    }
    return Visit(source: source, position: position)
  }

  /// The run whose turn it is, as its place in the table.
  func run(_ visit: Visit) -> Int { Int(parts[visit.source].stage.selection.runs[visit.position]) }

  /// The item at a place; of the attempts at it, those after the first one give items that take the place of damaged
  /// ones.
  ///
  /// - Parameter attempt: from 0 to ``PairSampler/Purpose/replacements``.
  func draw(
    _ visit: Visit, at place: Int, attempt: Int = 0, finder: RunFinder
  ) throws(CorpusError) -> PairDraw {
    let stage = parts[visit.source].stage
    let purpose =
      attempt == 0
      ? PairSampler.Purpose.draw.rawValue : PairSampler.Purpose.replacement.rawValue + UInt64(attempt - 1)
    var random = PhiloxGenerator(
      seed: sampler.seed, stream: PairSampler.stream(purpose, epoch: number, place: place))
    let position = attempt == 0 ? visit.position : stage.selection.anyRun(&random)
    return try stage.draw(position, &random, source: visit.source, finder: finder)
  }

  /// The stream of random numbers for the augmentation of the item at a place.
  func augmentation(_ place: Int) -> UInt64 {
    PairSampler.stream(PairSampler.Purpose.augmentation.rawValue, epoch: number, place: place)
  }
}
