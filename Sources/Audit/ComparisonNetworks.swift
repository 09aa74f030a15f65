import Corpus
import CorpusStore
import ShardStore

/// Networks of which it is known what they are, to set generated ones beside them.
struct ComparisonNetworks {
  private let audit: NetworkAudit
  private let search: NearestSearch

  /// Noise, in units of the corpus's own spread.
  private static let noise = [0.05, 0.1, 0.2, 0.5, 1]
  private static let noisyOfEach = 8
  private static let mixtures = 16
  private static let means = 4

  init(_ audit: NetworkAudit, _ search: NearestSearch) {
    (self.audit, self.search) = (audit, search)
  }

  /// Checkpoints of some runs whose metrics are like some others.
  ///
  /// - Parameter metrics: those that are wanted; what is no number does not count. Without any, all are alike.
  func stored(
    _ runs: [Int64], _ group: String, like metrics: [Float], count: Int
  ) throws(CorpusError) -> [Examined.Network] {
    var all: [(value: Float, checkpoint: AuditedCheckpoint)] = []
    // Enough to choose from.
    let few = min(runs.count, 512)
    for number in 0..<few {
      let run = runs[number * runs.count / few]
      let values = try audit.reader.metrics(of: run).metrics[audit.metricIndex]
      for (step, value) in values.enumerated() where value.isFinite {
        all.append((value, AuditedCheckpoint(run: run, step: step)))
      }
    }
    guard !all.isEmpty else { return [] }
    all.sort {
      ($0.value, $0.checkpoint.run, $0.checkpoint.step) < ($1.value, $1.checkpoint.run, $1.checkpoint.step)
    }
    let values = all.map(\.value)
    let wanted = metrics.filter(\.isFinite).sorted()
    var chosen: Set<AuditedCheckpoint> = []
    for number in 0..<count {
      let value =
        wanted.isEmpty ? all[number * all.count / count].value : wanted[number * wanted.count / count]
      let index = Self.firstIndex(values, notBelow: value)
      // The nearest one that is not taken, on either side.
      let nearest = (0..<all.count).lazy.flatMap { [index + $0, index - 1 - $0] }
        .first { all.indices.contains($0) && !chosen.contains(all[$0].checkpoint) }
      if let nearest { chosen.insert(all[nearest].checkpoint) }
    }
    var networks: [Examined.Network] = []
    for checkpoint in chosen.sorted(by: { ($0.run, $0.step) < ($1.run, $1.step) }) {
      networks.append(
        Examined.Network(
          group: group, parameters: try audit.reader.parameters(of: checkpoint), source: checkpoint))
    }
    return networks
  }

  private static func firstIndex(_ sorted: [Float], notBelow value: Float) -> Int {
    var (low, high) = (0, sorted.count)
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Training networks with noise of several sizes, as far from them as that part of the spread.
  func noisy(_ training: [Examined.Network], spread: Double) -> [Examined.Network] {
    guard spread.isFinite else { return [] }
    var random = PhiloxGenerator(seed: 0xA0D1, stream: 1)
    return Self.noise.flatMap { size in
      training.prefix(Self.noisyOfEach).map { network in
        let balanced = search.matcher.balanced(network.parameters)
        let direction = balanced.map { _ in
          (0..<12).reduce(-6.0) { sum, _ in sum + Double(random.uniform()) }
        }
        let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return Examined.Network(
          group: "noise \(size)",
          parameters: zip(balanced, direction).map { Float(Double($0) + size * spread * $1 / length) })
      }
    }
  }

  /// Networks half way between two, and means of sixteen, all aligned to the first.
  func mixed(_ training: [Examined.Network]) -> [Examined.Network] {
    func mean(_ networks: [Examined.Network], _ group: String) -> Examined.Network {
      let balanced = networks.map { search.matcher.balanced($0.parameters) }
      var sum = [Double](repeating: 0, count: balanced[0].count)
      for network in balanced {
        for (index, value) in search.matcher.aligned(network, to: balanced[0]).enumerated() {
          sum[index] += Double(value)
        }
      }
      return Examined.Network(group: group, parameters: sum.map { Float($0 / Double(networks.count)) })
    }
    var networks: [Examined.Network] = []
    for number in 0..<Self.mixtures where training.count > 1 {
      let one = training[number % training.count]
      guard
        let other = (1..<training.count).lazy.map({ training[(number + $0) % training.count] })
          .first(where: { $0.run != one.run })
      else { continue }
      networks.append(mean([one, other], "interpolation"))
    }
    for number in 0..<Self.means where training.count >= 16 {
      networks.append(
        mean((0..<16).map { training[(number + $0 * (training.count / 16)) % training.count] }, "mean of 16"))
    }
    return networks
  }
}
