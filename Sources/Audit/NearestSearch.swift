package import Corpus
package import CorpusStore
import MetricIndex
import NetworkSymmetry
import Platform
import ShardStore
import Synchronization

/// A checkpoint of the corpus that a network was compared with.
public struct AuditedCheckpoint: Codable, Hashable, Sendable {
  public var run: Int64
  public var step: Int

  public init(run: Int64, step: Int) {
    (self.run, self.step) = (run, step)
  }
}

/// All checkpoints of the runs that a model learned from, to be searched for those nearest to a network.
///
/// Two stages: features that do not depend on the order of units tell which checkpoints may be near, and of so many the
/// distance is computed.
final class NearestSearch: Sendable {
  let runs: [Int64]
  let matcher: NetworkMatcher
  private let reader: CorpusReader
  private let features: NetworkFeatures
  /// (checkpoints, features), and which checkpoint each is.
  private let table: [Float]
  private let checkpoints: [AuditedCheckpoint]

  /// Of the nearest, so many are told.
  private static let kept = 48
  /// Checkpoints whose distances are computed: fewer where several layers have to be matched in turn.
  private let wanted: Int
  /// The same for exhaustive queries.
  private var exhaustive: Int { (matcher.slices?.layers.count ?? 0) > 1 ? 10_000 : 100_000 }

  /// What is nearest to a network.
  struct Found: Sendable {
    let checkpoint: AuditedCheckpoint
    let distance: Double
  }

  var count: Int { checkpoints.count }

  /// Reads every checkpoint of the runs once.
  ///
  /// - Parameter progress: called with the runs read.
  init(
    _ reader: CorpusReader, runs: [Int64], candidates: Int?, workers: Int, cancellation: Cancellation,
    progress: @escaping @Sendable (Int) -> Void
  ) throws(CorpusError) {
    let architecture = reader.directory.manifest.architecture
    let matcher = NetworkMatcher(architecture)
    let features = NetworkFeatures(architecture, matcher.slices)
    wanted = candidates ?? ((matcher.slices?.layers.count ?? 0) > 1 ? 160 : 1_000)
    (self.runs, self.reader, self.matcher, self.features) = (runs, reader, matcher, features)
    let length = architecture.parameterCount
    let parts = Mutex([[Float]?](repeating: nil, count: runs.count))
    let done = Mutex(0)
    try parallelForEach(Array(runs.indices), workers: workers) { (number) throws(CorpusError) in
      try cancellation.check()
      let checkpoints = try reader.metrics(of: runs[number]).iterations.count
      var parameters = [Float](repeating: 0, count: checkpoints * length)
      try parameters.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
        try reader.read(runs[number], steps: 0..<checkpoints, into: buffer)
      }
      var rows = [Float](repeating: 0, count: checkpoints * features.count)
      rows.withUnsafeMutableBufferPointer { rows in
        guard let base = rows.baseAddress else { return }
        for step in 0..<checkpoints {
          let network = matcher.balanced(Array(parameters[(step * length)..<((step + 1) * length)]))
          features.write(network, to: base + step * features.count)
        }
      }
      parts.withLock { $0[number] = rows }
      progress(
        done.withLock {
          $0 += 1
          return $0
        })
    }
    let all = parts.withLock { $0 }
    var table: [Float] = []
    table.reserveCapacity(all.reduce(0) { $0 + ($1?.count ?? 0) })
    var checkpoints: [AuditedCheckpoint] = []
    for (run, part) in zip(runs, all) {
      guard let part else { continue }
      table += part
      checkpoints += (0..<(part.count / features.count)).map { AuditedCheckpoint(run: run, step: $0) }
    }
    (self.table, self.checkpoints) = (table, checkpoints)
  }

  /// A checkpoint's parameters, balanced: (P).
  func network(_ checkpoint: AuditedCheckpoint) throws(CorpusError) -> [Float] {
    matcher.balanced(try reader.parameters(of: checkpoint))
  }

  /// A network for which near checkpoints are wanted.
  struct Query: Sendable {
    /// Balanced: (P).
    let network: [Float]
    /// A run that does not count, as the network is its own.
    var excluded: Int64?
    /// Whether to compare it with a large part of all checkpoints, whatever their features.
    var isExhaustive = false
  }

  /// The checkpoints that are nearest to each of some networks, the nearest first.
  ///
  /// - Parameter progress: called with the networks, and then the runs, that are done, and with how many there are.
  func nearest(
    _ queries: [Query], workers: Int, cancellation: Cancellation,
    progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) -> [[Found]] {
    let pairs = Mutex([[Int]](repeating: [], count: queries.count))
    let done = Mutex(0)
    let advance: @Sendable (Int) -> Void = { total in
      progress(
        done.withLock {
          $0 += 1
          return $0
        }, total)
    }
    let total = queries.count + runs.count
    try parallelForEach(Array(queries.indices), workers: workers) { [self] (number) throws(CorpusError) in
      try cancellation.check()
      let chosen = queries[number].isExhaustive ? everyNth() : candidates(queries[number])
      pairs.withLock { $0[number] = chosen }
      advance(total)
    }
    // By run, so that each checkpoint is decoded once.
    var wanted: [Int64: [(step: Int, query: Int)]] = [:]
    for (query, numbers) in pairs.withLock({ $0 }).enumerated() {
      for number in numbers {
        wanted[checkpoints[number].run, default: []].append((checkpoints[number].step, query))
      }
    }
    let found = Mutex([[Found]](repeating: [], count: queries.count))
    try parallelForEach(runs, workers: workers) { [self, wanted] (run) throws(CorpusError) in
      try cancellation.check()
      for (query, distance) in try distances(of: run, wanted[run] ?? [], queries) {
        found.withLock { $0[query].append(distance) }
      }
      advance(total)
    }
    return found.withLock { $0 }.map { all in
      let sorted = all.sorted {
        ($0.distance, $0.checkpoint.run, $0.checkpoint.step) < (
          $1.distance, $1.checkpoint.run, $1.checkpoint.step
        )
      }
      // The nearest of another run, too, however many of the first one are nearer.
      let other = sorted.dropFirst(Self.kept).first { $0.checkpoint.run != sorted[0].checkpoint.run }
      return Array(sorted.prefix(Self.kept)) + [other].compactMap { $0 }
    }
  }

  /// The distances of some checkpoints of a run to the networks that want them.
  private func distances(
    of run: Int64, _ wanted: [(step: Int, query: Int)], _ queries: [Query]
  ) throws(CorpusError) -> [(Int, Found)] {
    guard let first = wanted.map(\.step).min(), let last = wanted.map(\.step).max() else { return [] }
    let length = matcher.parameterCount
    var parameters = [Float](repeating: 0, count: (last - first + 1) * length)
    try parameters.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try reader.read(run, steps: first..<(last + 1), into: buffer)
    }
    var results: [(Int, Found)] = []
    for (step, all) in Dictionary(grouping: wanted, by: \.step) {
      let start = (step - first) * length
      let network = matcher.balanced(Array(parameters[start..<(start + length)]))
      for (_, query) in all {
        let distance = matcher.distance(queries[query].network, to: network)
        results.append(
          (query, Found(checkpoint: AuditedCheckpoint(run: run, step: step), distance: distance)))
      }
    }
    return results
  }

  /// As many checkpoints as can be compared one by one, spread evenly.
  private func everyNth() -> [Int] {
    let stride = max(1, (count + exhaustive - 1) / exhaustive)
    return Array(Swift.stride(from: 0, to: count, by: stride))
  }

  /// The checkpoints with the nearest features.
  private func candidates(_ query: Query) -> [Int] {
    let (network, excluded) = (query.network, query.excluded)
    if count <= wanted { return checkpoints.indices.filter { checkpoints[$0].run != excluded } }
    var own = [Float](repeating: 0, count: features.count)
    own.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { features.write(network, to: base) } }
    var best: [(distance: Float, number: Int)] = []
    var limit = Float.infinity
    let vectors = features.count / 8
    table.withUnsafeBytes { table in
      own.withUnsafeBytes { own in
        for number in checkpoints.indices {
          var sums = SIMD8<Float>(repeating: 0)
          let row = number * vectors * 32
          for vector in 0..<vectors {
            let difference =
              table.loadUnaligned(fromByteOffset: row + 32 * vector, as: SIMD8<Float>.self)
              - own.loadUnaligned(fromByteOffset: 32 * vector, as: SIMD8<Float>.self)
            sums += difference * difference
          }
          let distance = sums.sum()
          guard distance < limit, checkpoints[number].run != excluded else { continue }
          best.append((distance, number))
          // Now and then, as sorting costs more than comparing.
          if best.count == 4 * wanted {
            best.sort { $0.distance < $1.distance }
            best.removeLast(best.count - wanted)
            limit = best[wanted - 1].distance
          }
        }
      }
    }
    return best.sorted { $0.distance < $1.distance }.prefix(wanted).map(\.number)
  }
}

extension CorpusReader {
  /// The parameters of a checkpoint: (P).
  package func parameters(of checkpoint: AuditedCheckpoint) throws(CorpusError) -> [Float] {
    var parameters = [Float](repeating: 0, count: directory.manifest.architecture.parameterCount)
    try parameters.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
      try read(checkpoint.run, steps: checkpoint.step..<(checkpoint.step + 1), into: buffer)
    }
    return parameters
  }
}
