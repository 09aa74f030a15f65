import Corpus
import MetricIndex

/// Two checkpoints of a run; of a single checkpoint the start twice.
struct PairDraw: Hashable, Sendable {
  /// The corpus's place among those that are mixed.
  var source: Int
  /// The run's place in the table.
  var run: Int
  var start: Int32
  var target: Int32
}

/// What pairs are drawn from, and how: all that the sequence of pairs depends on, but for epoch and place.
struct PairSampler: Sendable {
  /// A corpus.
  struct Source: Sendable {
    let table: RunTable
    /// The first one begins at epoch 0; an epoch obeys the last one that has begun.
    let stages: [DrawingStage]
    /// Which of its places an epoch uses: 0..<places.
    let places: Int

    func stage(ofEpoch epoch: Int) -> DrawingStage { stages.last { $0.firstEpoch <= epoch } ?? stages[0] }
  }

  let sources: [Source]
  /// nil for a single corpus.
  let mixture: Mixture?
  let seed: UInt64
  let item: PairStreamOptions.Item
  /// Items of an epoch.
  let itemsPerEpoch: Int

  /// What random numbers are for. A stream of them is a purpose, an epoch (28 bits) and a place (32 bits).
  enum Purpose: UInt64 {
    case draw, augmentation, order, window
    /// The first of those for replacements of damaged items.
    case replacement

    static let replacements = 12
  }

  /// Places under the purpose `order` from which on they belong to weights and to mixtures; those before, one for each
  /// corpus, to the order of its runs.
  static let weightsPlace = 1 << 16
  static let mixturePlace = 1 << 31
  /// Places under the purpose `window` for the windows of a corpus.
  static let windowPlaces = 1 << 24

  static func stream(_ purpose: UInt64, epoch: Int, place: Int) -> UInt64 {
    purpose << 60 | UInt64(epoch & (1 << 28 - 1)) << 32 | UInt64(place)
  }
}

/// How pairs of a corpus are drawn in some successive epochs.
final class DrawingStage: Sendable {
  let firstEpoch: Int
  let selection: RunSelection
  let balance: MetricBalance?
  private let item: PairStreamOptions.Item
  private let isPublished: Bool
  private let directions: PairStreamOptions.Directions
  private let initialStarts: Share
  private let unchanged: Share

  /// A share of all draws, decided by a word.
  private struct Share {
    let words: UInt64

    init(_ share: Double) { words = UInt64((share * 0x1p32).rounded()) }

    /// A word is taken only where there is a choice.
    func hits(_ random: inout PhiloxGenerator) -> Bool { words > 0 && UInt64(random.nextWord()) < words }
  }

  init(
    _ options: PairStreamOptions, firstEpoch: Int, selection: RunSelection, balance: MetricBalance?
  ) {
    self.firstEpoch = firstEpoch
    self.selection = selection
    self.balance = balance
    item = options.item
    isPublished = options.isPublished
    directions = options.directions
    initialStarts = Share(options.initialStarts ?? 0)
    unchanged = Share(options.unchanged)
  }

  /// Draws an item.
  ///
  /// - Parameters:
  ///   - position: the place in the selection of the run whose turn it is.
  ///   - random: from its beginning.
  ///   - finder: finds the metrics that a balance asks for.
  func draw(
    _ position: Int, _ random: inout PhiloxGenerator, source: Int, finder: RunFinder
  ) throws(CorpusError) -> PairDraw {
    if isPublished { return publishedDraw(Int(selection.runs[position]), &random, source: source) }
    if item == .checkpoints {
      let (run, checkpoint) = try target(position, &random, finder)
      return draw(source, run, checkpoint, checkpoint)
    }
    let isUnchanged = unchanged.hits(&random)
    let isInitial = initialStarts.hits(&random)
    if isUnchanged {
      let (run, start) =
        isInitial ? (Int(selection.runs[position]), 0) : try target(position, &random, finder)
      let near = max(0, start - 1)...min(start + 1, selection.count(run) - 1)
      return draw(source, run, start, near.lowerBound + Int(random.integer(below: UInt32(near.count))))
    }
    if balance != nil {
      let (run, target) = try target(position, &random, finder)
      return draw(
        source, run, isInitial ? 0 : start(of: target, count: selection.count(run), &random), target)
    }
    let run = Int(selection.runs[position])
    if isInitial {
      return draw(source, run, 0, 1 + Int(random.integer(below: UInt32(selection.count(run) - 1))))
    }
    let pair = publishedDraw(run, &random, source: source)
    guard directions == .both, random.integer(below: 2) == 1 else { return pair }
    return PairDraw(source: source, run: run, start: pair.target, target: pair.start)
  }

  /// Spacing s uniform in 1..<K, start uniform in 0..<K - s (Schemas/reference.md, section 5), K being the number of the
  /// run's checkpoints that may occur.
  private func publishedDraw(_ run: Int, _ random: inout PhiloxGenerator, source: Int) -> PairDraw {
    let count = UInt32(selection.count(run))
    guard item == .pairs else {
      let checkpoint = Int(random.integer(below: count))
      return draw(source, run, checkpoint, checkpoint)
    }
    let spacing = 1 + random.integer(below: count - 1)
    let start = random.integer(below: count - spacing)
    return draw(source, run, Int(start), Int(start + spacing))
  }

  /// A checkpoint of the run whose turn it is, or of a neighbour where a balance asks for that.
  private func target(
    _ position: Int, _ random: inout PhiloxGenerator, _ finder: RunFinder
  ) throws(CorpusError) -> (run: Int, checkpoint: Int) {
    if let balance { return try balance.draw(position, &random, finder) }
    let run = Int(selection.runs[position])
    return (run, Int(random.integer(below: UInt32(selection.count(run)))))
  }

  private func start(of target: Int, count: Int, _ random: inout PhiloxGenerator) -> Int {
    switch directions {
    case .forward: return target == 0 ? 0 : Int(random.integer(below: UInt32(target)))
    case .both:
      let other = Int(random.integer(below: UInt32(count - 1)))
      return other < target ? other : other + 1
    }
  }

  /// - Parameters:
  ///   - start, target: among the run's checkpoints that may occur.
  private func draw(_ source: Int, _ run: Int, _ start: Int, _ target: Int) -> PairDraw {
    PairDraw(
      source: source, run: run, start: selection.step(run, start), target: selection.step(run, target))
  }
}
