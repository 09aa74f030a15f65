public import Corpus
public import CorpusStore
import MetricIndex
public import Platform
import ShardStore
import Synchronization
public import Tasks

/// Compares networks with every checkpoint of the runs that a model learned from.
///
/// Nothing in it depends on the number of threads.
public struct NetworkAudit: Sendable {
  /// A network to be audited.
  public struct Candidate: Sendable {
    public var parameters: [Float]
    public var prompt: Float?
    public var isBestPrompt: Bool

    public init(_ parameters: [Float], prompt: Float? = nil, isBestPrompt: Bool = false) {
      (self.parameters, self.prompt, self.isBestPrompt) = (parameters, prompt, isBestPrompt)
    }
  }

  /// What is being done.
  public enum Stage: String, Sendable {
    case reading, measuring, searching, comparing
  }

  let reader: CorpusReader
  let trainingRuns: [Int64]
  let heldOutRuns: [Int64]
  let metric: Metric
  let metricIndex: Int
  let evaluator: (any Evaluator)?
  let workers: Int
  /// Checkpoints whose distances are computed, by their features; nil for the usual number.
  package var candidates: Int?
  /// At least as good as this is good.
  public var goodMetric: Float
  /// How networks of the corpus are compared.
  package var matcher: NetworkMatcher { NetworkMatcher(reader.directory.manifest.architecture) }

  /// - Parameters:
  ///   - metric: one of the corpus's.
  ///   - evaluator: measures networks; nil where the task cannot be measured: then metrics, good ones among them, and
  ///     behaviour are left out.
  /// - Throws: `emptySelection` without training runs.
  public init(
    _ reader: CorpusReader, trainingRuns: [Int64], heldOutRuns: [Int64], metric: Metric, goodMetric: Float,
    evaluator: (any Evaluator)?, workers: Int
  ) throws(CorpusError) {
    guard !trainingRuns.isEmpty, let index = reader.directory.manifest.metrics.firstIndex(of: metric) else {
      throw CorpusError(
        .emptySelection, "\(reader.directory.path) has no runs that the model learned from",
        remedy: "name the corpus that it was trained on")
    }
    (self.reader, self.trainingRuns, self.heldOutRuns) = (reader, trainingRuns, heldOutRuns)
    (self.metric, metricIndex, self.evaluator, self.workers) = (metric, index, evaluator, workers)
    self.goodMetric = goodMetric
  }

  /// Audits generated networks: (P) each.
  public func run(
    _ candidates: [Candidate], cancellation: Cancellation = Cancellation(),
    progress: @escaping @Sendable (Stage, Int, Int) -> Void = { _, _, _ in }
  ) throws(CorpusError) -> AuditReport {
    let begun = ContinuousClock.now
    let total = trainingRuns.count
    let search = try NearestSearch(
      reader, runs: trainingRuns, candidates: self.candidates, workers: workers, cancellation: cancellation
    ) {
      progress(.reading, $0, total)
    }
    var examined = Examined(search, self, cancellation, progress)
    let generated = candidates.map {
      Examined.Network(
        group: "generated", parameters: $0.parameters, prompt: $0.prompt, isBestPrompt: $0.isBestPrompt)
    }
    try examined.add(generated)
    let wanted = examined.samples.map(\.metric)
    let comparison = ComparisonNetworks(self, search)
    let heldOut = try comparison.stored(
      heldOutRuns, "held-out", like: wanted, count: min(64, max(16, wanted.count)))
    try examined.add(heldOut)
    let spread = Self.median(examined.samples.filter { $0.group == "held-out" }.map(\.distance))
    let training = try comparison.stored(trainingRuns, "training", like: wanted, count: 32)
    try examined.add(training)
    try examined.add(comparison.noisy(training, spread: spread))
    try examined.add(comparison.mixed(training))
    try examined.compareBehavior()
    let samples = examined.samples.map { sample in
      var sample = sample
      sample.distanceRelative = spread > 0 ? sample.distance / spread : .nan
      return sample
    }
    let recall = try self.recall(
      search, Array(generated.prefix(2) + heldOut.prefix(2)), examined.samples, cancellation)
    return report(
      samples, search.count, spread, recall, try nearestMetrics(samples),
      begun.duration(to: .now) / .seconds(1))
  }

  /// How often the search found a checkpoint as near, within 0.1 %, as the nearest of those that some networks are compared
  /// with one by one.
  private func recall(
    _ search: NearestSearch, _ networks: [Examined.Network], _ samples: [AuditReport.Sample],
    _ cancellation: Cancellation
  ) throws(CorpusError) -> Double {
    let queries = networks.map {
      NearestSearch.Query(
        network: search.matcher.balanced($0.parameters), excluded: $0.run, isExhaustive: true)
    }
    let found = try search.nearest(queries, workers: workers, cancellation: cancellation) { _, _ in }
    var hits = 0
    for (number, (network, found)) in zip(networks, found).enumerated() {
      // Generated networks, which have no source, are the first samples.
      let sample = network.source.map { source in samples.first { $0.source == source } } ?? samples[number]
      if let sample, let exact = found.first, sample.distance <= 1.001 * exact.distance { hits += 1 }
    }
    return networks.isEmpty ? .nan : Double(hits) / Double(networks.count)
  }

  /// The metric of the checkpoint that is nearest to each sample.
  private func nearestMetrics(_ samples: [AuditReport.Sample]) throws(CorpusError) -> [Float] {
    var known: [Int64: [Float]] = [:]
    var values: [Float] = []
    for sample in samples {
      let run = sample.nearest.run
      if known[run] == nil { known[run] = try reader.metrics(of: run).metrics[metricIndex] }
      values.append(known[run]?[sample.nearest.step] ?? .nan)
    }
    return values
  }

  private func report(
    _ samples: [AuditReport.Sample], _ checkpoints: Int, _ spread: Double, _ recall: Double,
    _ nearestMetrics: [Float],
    _ seconds: Double
  ) -> AuditReport {
    func distances(_ isWanted: (AuditReport.Sample) -> Bool) -> [CopyingScore.Nearest] {
      zip(samples, nearestMetrics).filter { isWanted($0.0) }.map {
        CopyingScore.Nearest(distance: $0.0.distance, metric: $0.1)
      }
    }
    let heldOut = distances { $0.group == "held-out" }
    let generated = samples.filter { $0.group == "generated" }
    func share(_ samples: [AuditReport.Sample], _ factor: Double) -> Double {
      let novel = samples.count { $0.distanceRelative >= factor && isGood($0.metric) }
      return samples.isEmpty ? .nan : Double(novel) / Double(samples.count)
    }
    func words(_ isWanted: (AuditReport.Sample) -> Bool) -> String {
      let chosen = generated.filter(isWanted)
      let z = CopyingScore.z(chosen.map(\.distance), heldOut.map(\.distance))
      return AuditReport.Verdict.words(chosen, z: z) { share(chosen, $0) }
    }
    return AuditReport(
      task: reader.directory.manifest.task, metric: metric, checkpoints: checkpoints,
      runs: trainingRuns.count,
      heldOutRuns: heldOutRuns.count, spread: spread, goodMetric: evaluator == nil ? .nan : goodMetric,
      overlapMeaning: (evaluator as? any BehavingTask)?.similarityMeaning,
      copyingScore: CopyingScore(samples: distances { $0.group == "generated" }, heldOut: heldOut),
      novelAndGood: [1, 3].map { AuditReport.Share(spread: $0, share: share(generated, $0)) },
      verdict: .init(good: words(\.isBestPrompt), all: words { _ in true }), recall: recall, samples: samples,
      seconds: seconds)
  }

  private func isGood(_ value: Float) -> Bool {
    metric.goal == .maximize ? value >= goodMetric : value <= goodMetric
  }

  static func median(_ values: [Double]) -> Double {
    values.isEmpty ? .nan : values.sorted()[values.count / 2]
  }
}
