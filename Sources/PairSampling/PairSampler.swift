import Corpus

/// Two checkpoints of a run; of a single checkpoint the start twice.
package struct PairDraw: Hashable, Sendable {
  /// The run's index in the table.
  package let runIndex: Int
  /// The step of the start, and that of the target.
  package let start: Int32
  package let target: Int32
}

/// What pairs are drawn from, and how: all that the sequence of pairs depends on, but for the epoch and the item's index
/// in it.
package struct PairSampler: Sendable {
  /// A corpus that is drawn from.
  package struct Source: Sendable {
    package let corpus: StreamSource
    /// The runs that the stream's own options select.
    package let runCount: Int
    /// The first one begins at epoch 0; an epoch obeys the last one that has begun.
    let stages: [DrawingStage]
    /// The visits to its runs that an epoch has.
    let visits: Int

    func stage(ofEpoch epoch: Int) -> DrawingStage { stages.last { $0.firstEpoch <= epoch } ?? stages[0] }
  }

  package let sources: [Source]
  /// nil for a single corpus.
  let mixture: Mixture?
  package let seed: UInt64
  /// Items of an epoch.
  package let itemsPerEpoch: Int
  /// What differs from the published sampling, in words; empty where nothing does.
  package let drawing: String
  /// Names the sequence of items.
  package let fingerprint: String

  /// What random numbers are for. A stream of them is a purpose, an epoch (28 bits) and an index (32 bits).
  package enum Purpose: UInt64 {
    case draw, augmentation, order, window
    /// The first of those for replacements of damaged items.
    case replacement

    package static let replacements = 12
  }

  /// Indexes under the purpose `order` from which on they belong to weights and to mixtures; those before, one for each
  /// corpus, to the order of its runs.
  static let firstWeightsIndex = 1 << 16
  static let firstMixtureIndex = 1 << 31
  /// Indexes under the purpose `window` for the shuffle windows of a corpus.
  static let windowsPerSource = 1 << 24

  /// - Parameter attempt: the number of a replacement, from 0 on.
  static func stream(_ purpose: Purpose, attempt: Int = 0, epoch: Int, index: Int) -> UInt64 {
    (purpose.rawValue + UInt64(attempt)) << 60 | UInt64(epoch & (1 << 28 - 1)) << 32 | UInt64(index)
  }
}

/// How pairs of a corpus are drawn in some successive epochs.
final class DrawingStage: Sendable {
  let firstEpoch: Int
  let selection: RunSelection
  let balance: MetricBalance?
  private let options: PairStreamOptions
  private let isPublished: Bool
  private let initialStarts: Fraction
  private let unchanged: Fraction

  /// A fraction of all draws, decided by a word.
  private struct Fraction {
    let words: UInt64

    init(_ fraction: Double) { words = UInt64((fraction * 0x1p32).rounded()) }

    /// A word is taken only where there is a choice.
    func hits(_ random: inout PhiloxGenerator) -> Bool { words > 0 && UInt64(random.nextWord()) < words }
  }

  init(_ options: PairStreamOptions, firstEpoch: Int, selection: RunSelection, balance: MetricBalance?) {
    self.firstEpoch = firstEpoch
    self.selection = selection
    self.balance = balance
    self.options = options
    isPublished = options.isPublished
    initialStarts = Fraction(options.initialStarts ?? 0)
    unchanged = Fraction(options.unchanged)
  }

  /// Draws an item.
  ///
  /// - Parameters:
  ///   - position: the position in the selection of the run whose turn it is.
  ///   - random: from its beginning.
  ///   - finder: finds the metrics that a balance asks for.
  func draw(
    _ position: Int, _ random: inout PhiloxGenerator, finder: RunFinder
  ) throws(CorpusError) -> PairDraw {
    if isPublished { return publishedDraw(Int(selection.runs[position]), &random) }
    if options.item == .checkpoints {
      let (run, checkpoint) = try target(position, &random, finder)
      return draw(run, checkpoint, checkpoint)
    }
    let isUnchanged = unchanged.hits(&random)
    let isInitial = initialStarts.hits(&random)
    if isUnchanged {
      let (run, start) =
        isInitial ? (Int(selection.runs[position]), 0) : try target(position, &random, finder)
      let near = max(0, start - 1)...min(start + 1, selection.count(run) - 1)
      return draw(run, start, near.lowerBound + Int(random.integer(below: UInt32(near.count))))
    }
    if balance != nil {
      let (run, target) = try target(position, &random, finder)
      return draw(
        run, isInitial ? 0 : start(of: target, count: selection.count(run), &random), target)
    }
    let run = Int(selection.runs[position])
    if isInitial {
      return draw(run, 0, 1 + Int(random.integer(below: UInt32(selection.count(run) - 1))))
    }
    let pair = publishedDraw(run, &random)
    guard options.directions == .both, random.integer(below: 2) == 1 else { return pair }
    return PairDraw(runIndex: run, start: pair.target, target: pair.start)
  }

  /// Spacing s uniform in 1..<K, start uniform in 0..<K - s (Schemas/reference.md, section 5), K being the number of the
  /// run's checkpoints that may occur.
  private func publishedDraw(_ run: Int, _ random: inout PhiloxGenerator) -> PairDraw {
    let count = UInt32(selection.count(run))
    guard options.item == .pairs else {
      let checkpoint = Int(random.integer(below: count))
      return draw(run, checkpoint, checkpoint)
    }
    let spacing = 1 + random.integer(below: count - 1)
    let start = random.integer(below: count - spacing)
    return draw(run, Int(start), Int(start + spacing))
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
    switch options.directions {
    case .forward: return target == 0 ? 0 : Int(random.integer(below: UInt32(target)))
    case .both:
      let other = Int(random.integer(below: UInt32(count - 1)))
      return other < target ? other : other + 1
    }
  }

  /// - Parameters:
  ///   - start, target: indexes among the run's checkpoints that may occur.
  private func draw(_ run: Int, _ start: Int, _ target: Int) -> PairDraw {
    PairDraw(
      runIndex: run, start: selection.step(run, start), target: selection.step(run, target))
  }
}
