import ShardStore
public import ArgumentParser
public import PairSampling

/// How pairs are drawn where that differs from the published sampling, as flags.
struct DrawingOptions: ParsableArguments {
  @Option(
    help: """
      How the metrics of targets are spread: none (as they come), metric (evenly over its range), quantile or log \
      (default: none).
      """)
  var balance: PairStreamOptions.Balance?

  @Option(
    help: "The range to balance over, such as 0.3:2.3 (default: all that the selected runs have).")
  var balanceRange: BalanceRange?

  @Option(
    help:
      "Where pairs start: any, initial (the run's first checkpoint), or a share of initial ones (default: any)."
  )
  var starts: StartsShare?

  @Option(help: "Whether targets come after their starts: forward, or both (default: forward).")
  var directions: PairStreamOptions.Directions?

  @Option(help: "The share of pairs whose target is the start itself or next to it (default: 0).")
  var unchanged: Double?

  @Option(help: "A SQL expression on the columns of runs, in proportion to which they are visited.")
  var runWeights: String?

  @Option(
    name: .customLong("stage"),
    help: """
      What changes from an epoch on, such as "10; starts=0.5; where=train_return > 100"; may be repeated. Knows the \
      flags above, and where: a condition besides the stream's own.
      """)
  var stages: [DrawingStageArgument] = []

  @Option(
    name: .customLong("mix"),
    help: """
      Another corpus, and its share of the pairs in relation to the first one's 1, such as corpora/other=0.5; may be \
      repeated.
      """, completion: .directory)
  var mixed: [MixedCorpus] = []

  var isGiven: Bool {
    balance != nil || balanceRange != nil || starts != nil || directions != nil || unchanged != nil
      || runWeights != nil || !stages.isEmpty || !mixed.isEmpty
  }

  func apply(to options: inout PairStreamOptions) {
    options.balance = balance ?? .none
    options.balanceRange = balanceRange?.range
    options.initialStarts = starts?.share
    options.directions = directions ?? .forward
    options.unchanged = unchanged ?? 0
    options.runWeights = runWeights
    options.stages = stages.map(\.stage)
  }

  /// A corpus, with those that are mixed with it.
  func corpora(_ corpus: CorpusArgument) throws -> [WeightedCorpus] {
    try [(corpus.open(), 1)] + mixed.map { (try CorpusDirectory(opening: $0.path), $0.share) }
  }
}

/// Two numbers with a colon between them.
struct BalanceRange: ExpressibleByArgument {
  let range: ClosedRange<Float>

  init?(argument: String) {
    let ends = argument.split(separator: ":", omittingEmptySubsequences: false).map { Float($0) }
    guard ends.count == 2, let low = ends[0], let high = ends[1], low <= high else { return nil }
    range = low...high
  }
}

/// `any`, `initial`, or a share.
struct StartsShare: ExpressibleByArgument {
  let share: Double

  init?(argument: String) {
    switch argument {
    case "any": share = 0
    case "initial": share = 1
    default:
      guard let number = Double(argument) else { return nil }
      share = number
    }
  }
}

/// A directory, an equals sign, and a share.
struct MixedCorpus: ExpressibleByArgument {
  let path: String
  let share: Double

  init?(argument: String) {
    guard let sign = argument.lastIndex(of: "="), let share = Double(argument[argument.index(after: sign)...])
    else { return nil }
    path = String(argument[..<sign])
    self.share = share
  }
}

/// An epoch, and options with their values, with semicolons between them.
struct DrawingStageArgument: ExpressibleByArgument {
  let stage: PairStreamOptions.Stage

  init?(argument: String) {
    let parts = argument.split(separator: ";").map { Self.trimmed($0) }
    guard let first = parts.first, let epoch = Int(first) else { return nil }
    var stage = PairStreamOptions.Stage(firstEpoch: epoch)
    for part in parts.dropFirst() {
      guard let sign = part.firstIndex(of: "=") else { return nil }
      let value = Self.trimmed(part[part.index(after: sign)...])
      guard Self.set(Self.trimmed(part[..<sign]), to: value, in: &stage) else { return nil }
    }
    self.stage = stage
  }

  private static func set(_ name: String, to value: String, in stage: inout PairStreamOptions.Stage) -> Bool {
    switch name {
    case "where": stage.condition = value
    case "run-weights": stage.runWeights = value
    case "balance":
      stage.balance = PairStreamOptions.Balance(rawValue: value)
      return stage.balance != nil
    case "balance-range":
      stage.balanceRange = BalanceRange(argument: value)?.range
      return stage.balanceRange != nil
    case "starts":
      stage.initialStarts = StartsShare(argument: value)?.share
      return stage.initialStarts != nil
    case "directions":
      stage.directions = PairStreamOptions.Directions(rawValue: value)
      return stage.directions != nil
    case "unchanged":
      stage.unchanged = Double(value)
      return stage.unchanged != nil
    default: return false
    }
    return true
  }

  private static func trimmed(_ text: some StringProtocol) -> String {
    let inner = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
    return String(inner)
  }
}

extension PairStreamOptions.Balance: ExpressibleByArgument {}
extension PairStreamOptions.Directions: ExpressibleByArgument {}
