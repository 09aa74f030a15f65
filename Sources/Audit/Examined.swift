import Corpus
import CorpusStore
import Platform
import Synchronization
import Tasks

/// Networks as they are examined, group by group.
struct Examined {
  /// A network of a group.
  struct Network: Sendable {
    var group: String
    var parameters: [Float]
    var prompt: Float?
    var isBestPrompt = false
    /// The checkpoint that it is, whose run does not count as near.
    var source: AuditedCheckpoint?

    var run: Int64? { source?.run }
  }

  private(set) var samples: [AuditReport.Sample] = []
  private var networks: [Network] = []
  /// The nearest checkpoints of each.
  private var nearest: [[NearestSearch.Found]] = []
  private let search: NearestSearch
  private let audit: NetworkAudit
  private let cancellation: Cancellation
  private let progress: @Sendable (NetworkAudit.Stage, Int, Int) -> Void

  /// Nearest checkpoints that are looked at more closely.
  private static let closest = 8
  /// Last checkpoints of runs that behaviour is compared with, where asking takes next to no time.
  private static let lastCheckpoints = 256

  init(
    _ search: NearestSearch, _ audit: NetworkAudit, _ cancellation: Cancellation,
    _ progress: @escaping @Sendable (NetworkAudit.Stage, Int, Int) -> Void
  ) {
    (self.search, self.audit, self.cancellation, self.progress) = (search, audit, cancellation, progress)
  }

  /// Measures networks, and finds what is nearest to them.
  mutating func add(_ networks: [Network]) throws(CorpusError) {
    let measured = try measure(networks)
    let queries = networks.map {
      NearestSearch.Query(network: search.matcher.balanced($0.parameters), excluded: $0.run)
    }
    let found = try search.nearest(queries, workers: audit.workers, cancellation: cancellation) {
      [progress] in progress(.searching, $0, $1)
    }
    let offSegment = Mutex([Double](repeating: .nan, count: networks.count))
    try parallelForEach(Array(networks.indices), workers: audit.workers) {
      [search] (number) throws(CorpusError) in
      let off = try Self.offSegment(queries[number].network, found[number], search)
      offSegment.withLock { $0[number] = off }
    }
    let off = offSegment.withLock { $0 }
    for (number, network) in networks.enumerated() {
      guard let first = found[number].first else { continue }
      samples.append(
        AuditReport.Sample(
          group: network.group, source: network.source, prompt: network.prompt,
          isBestPrompt: network.isBestPrompt,
          metric: measured[number].metric, accuracy: measured[number].accuracy, distance: first.distance,
          distanceRelative: .nan, nearest: first.checkpoint, offSegment: off[number]))
      self.networks.append(network)
      nearest.append(Array(found[number].prefix(Self.closest)))
    }
  }

  private func measure(_ networks: [Network]) throws(CorpusError) -> [(metric: Float, accuracy: Float?)] {
    guard let evaluator = audit.evaluator else { return networks.map { _ in (.nan, nil) } }
    let names = evaluator.evaluatedMetrics.map(\.name)
    let wanted = audit.metric.name
    let index =
      names.firstIndex(of: wanted) ?? names.firstIndex(of: wanted.replacing("train_", with: "test_"))
    let error = names.firstIndex(of: Metric.testError.name)
    progress(.measuring, 0, networks.count)
    let values = try evaluator.evaluate(
      count: networks.count, workers: audit.workers, cancellation: cancellation
    ) { networks[$0].parameters }
    return values.map { values in (index.map { values[$0] } ?? .nan, error.map { 100 - values[$0] }) }
  }

  /// How far a network lies from the segment between its nearest checkpoints of two runs, as a part of its distance to the
  /// nearer one; NaN where there are no two.
  private static func offSegment(
    _ network: [Float], _ nearest: [NearestSearch.Found], _ search: NearestSearch
  ) throws(CorpusError) -> Double {
    guard let first = nearest.first, first.distance > 0,
      let second = nearest.first(where: { $0.checkpoint.run != first.checkpoint.run })
    else { return .nan }
    let one = search.matcher.aligned(try search.network(first.checkpoint), to: network)
    let other = search.matcher.aligned(try search.network(second.checkpoint), to: network)
    var (along, length) = (0.0, 0.0)
    for index in network.indices {
      let direction = Double(other[index]) - Double(one[index])
      along += (Double(network[index]) - Double(one[index])) * direction
      length += direction * direction
    }
    let part = length > 0 ? max(0, min(1, along / length)) : 0
    let foot = zip(one, other).map { Float(Double($0) + part * (Double($1) - Double($0))) }
    return NetworkMatcher.distance(network, foot) / first.distance
  }

  /// Compares what networks do with what the nearest checkpoints, and the last ones of runs, do.
  mutating func compareBehavior() throws(CorpusError) {
    guard let task = audit.evaluator as? any BehavingTask else { return }
    guard let first = networks.first else { return }
    let questions = task.questions(for: first.parameters)
    let isQuick = task.isQuickToAsk
    let wanted = min(audit.trainingRuns.count, isQuick ? Self.lastCheckpoints : 16)
    var last: [(checkpoint: AuditedCheckpoint, parameters: [Float])] = []
    for number in 0..<wanted {
      let run = audit.trainingRuns[number * audit.trainingRuns.count / wanted]
      let step = try audit.reader.metrics(of: run).iterations.count - 1
      let checkpoint = AuditedCheckpoint(run: run, step: step)
      last.append((checkpoint, try audit.reader.parameters(of: checkpoint)))
    }
    // Where all are asked the same, once is enough.
    let isCommon = questions.isEmpty
    let common = Mutex([[Float]](repeating: [], count: last.count))
    if isCommon {
      try parallelForEach(Array(last.indices), workers: audit.workers) {
        [last, cancellation] (number) throws(CorpusError) in
        try cancellation.check()
        let behavior = task.behavior(of: last[number].parameters, asked: [])
        common.withLock { $0[number] = behavior }
      }
    }
    let known = common.withLock { $0 }
    let chosen = samples.indices.filter {
      isQuick || ["generated", "held-out", "training"].contains(samples[$0].group)
    }
    let results = Mutex([(Float, AuditedCheckpoint)?](repeating: nil, count: samples.count))
    let done = Mutex(0)
    try parallelForEach(chosen, workers: audit.workers) {
      [networks, nearest, last, audit, cancellation, progress, isQuick] (number) throws(CorpusError) in
      try cancellation.check()
      let network = networks[number]
      let asked = isCommon ? [] : task.questions(for: network.parameters)
      let own = task.behavior(of: network.parameters, asked: asked)
      var best: (Float, AuditedCheckpoint)?
      func consider(_ behavior: [Float], _ checkpoint: AuditedCheckpoint) {
        let similarity = task.similarity(own, behavior)
        if similarity > best?.0 ?? -1 { best = (similarity, checkpoint) }
      }
      for found in nearest[number].prefix(isQuick ? Self.closest : 1) {
        consider(
          task.behavior(of: try audit.reader.parameters(of: found.checkpoint), asked: asked), found.checkpoint
        )
      }
      for (index, other) in last.enumerated() where other.checkpoint.run != network.run {
        consider(
          isCommon ? known[index] : task.behavior(of: other.parameters, asked: asked), other.checkpoint)
      }
      results.withLock { [best] in $0[number] = best }
      progress(
        .comparing,
        done.withLock {
          $0 += 1
          return $0
        }, chosen.count)
    }
    for (number, result) in results.withLock({ $0 }).enumerated() {
      guard let (overlap, checkpoint) = result else { continue }
      samples[number].overlap = overlap
      samples[number].overlapNearest = checkpoint
    }
  }
}
