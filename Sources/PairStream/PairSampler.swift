import Corpus
import MetricIndex

/// Two checkpoints of a run; of a single checkpoint the start twice.
struct PairDraw: Hashable, Sendable {
  /// The run's place in the table.
  var run: Int
  var start: Int32
  var target: Int32
}

/// Which pair comes at each place of each epoch: a pure function of seed, epoch and place.
///
/// Every run is visited equally often in an epoch. The spacing s of the two checkpoints is uniform in 1..<K, the start
/// uniform in 0..<K - s (reference-system.md, section 5), K being the number of the run's checkpoints that may occur.
struct PairSampler: Sendable {
  let table: RunTable
  /// Places in the table of the runs with enough checkpoints.
  let runs: [Int32]
  /// Visits of each run in an epoch.
  let visits: Int
  let seed: UInt64
  let item: PairStreamOptions.Item
  /// The stretches that an epoch reads one after the other; nil if it goes through the runs in any order.
  let stretches: Stretches?

  /// Items of an epoch.
  var itemsPerEpoch: Int { runs.count * visits }

  /// The number of a run's checkpoints that may occur.
  func eligible(_ run: Int) -> Int {
    table.steps == nil
      ? Int(table.rows[run].checkpoints) : table.stepStarts[run + 1] - table.stepStarts[run]
  }

  /// What random numbers are for. A stream of them is a purpose, an epoch (28 bits) and a place (32 bits).
  enum Purpose: UInt64 {
    case draw, augmentation, order, window
    /// The first of those for replacements of damaged items.
    case replacement

    static let replacements = 12
  }

  static func stream(_ purpose: UInt64, epoch: Int, place: Int) -> UInt64 {
    purpose << 60 | UInt64(epoch & (1 << 28 - 1)) << 32 | UInt64(place)
  }

  fileprivate func draw(run: Int, _ random: inout PhiloxGenerator) -> PairDraw {
    let count = UInt32(eligible(run))
    guard item == .pairs else {
      let place = step(run, random.integer(below: count))
      return PairDraw(run: run, start: place, target: place)
    }
    let spacing = 1 + random.integer(below: count - 1)
    let start = random.integer(below: count - spacing)
    return PairDraw(run: run, start: step(run, start), target: step(run, start + spacing))
  }

  private func step(_ run: Int, _ place: UInt32) -> Int32 {
    guard let steps = table.steps else { return Int32(place) }
    return steps[table.stepStarts[run] + Int(place)]
  }
}

/// The items of one epoch.
struct Epoch: Sendable {
  let sampler: PairSampler
  let number: Int
  private let order: Order

  private enum Order: Sendable {
    case random(KeyedPermutation)
    case sequential(StretchOrder)
  }

  init(_ number: Int, of sampler: PairSampler) {
    self.sampler = sampler
    self.number = number
    let stream = PairSampler.stream(PairSampler.Purpose.order.rawValue, epoch: number, place: 0)
    if let stretches = sampler.stretches {
      order = .sequential(
        StretchOrder(
          stretches,
          order: KeyedPermutation(count: stretches.count, seed: sampler.seed, stream: stream)))
    } else {
      order = .random(KeyedPermutation(count: sampler.itemsPerEpoch, seed: sampler.seed, stream: stream))
    }
  }

  /// The windows of stretches that it reads one after the other; none if it goes through the runs in any order.
  var windows: StretchOrder? {
    if case .sequential(let order) = order { order } else { nil }
  }

  /// The item at a place.
  func draw(_ place: Int) -> PairDraw {
    var random = generator(PairSampler.Purpose.draw.rawValue, place)
    return sampler.draw(run: run(at: place), &random)
  }

  private func run(at place: Int) -> Int {
    switch order {
    case .random(let permutation): return Int(sampler.runs[permutation[place] % sampler.runs.count])
    case .sequential(let order):
      return Int(
        order.run(at: place, visits: sampler.visits) { window in
          let stream = PairSampler.stream(
            PairSampler.Purpose.window.rawValue, epoch: number, place: window)
          return (sampler.seed, stream)
        })
    }
  }

  /// The item that takes the place of a damaged one; nil after too many attempts.
  func replacement(of place: Int, attempt: Int) -> PairDraw? {
    guard attempt < PairSampler.Purpose.replacements else { return nil }
    var random = generator(PairSampler.Purpose.replacement.rawValue + UInt64(attempt), place)
    return sampler.draw(
      run: Int(sampler.runs[Int(random.integer(below: UInt32(sampler.runs.count)))]), &random)
  }

  /// The stream of random numbers for the augmentation of the item at a place.
  func augmentation(_ place: Int) -> UInt64 {
    PairSampler.stream(PairSampler.Purpose.augmentation.rawValue, epoch: number, place: place)
  }

  private func generator(_ purpose: UInt64, _ place: Int) -> PhiloxGenerator {
    PhiloxGenerator(
      seed: sampler.seed, stream: PairSampler.stream(purpose, epoch: number, place: place))
  }
}
