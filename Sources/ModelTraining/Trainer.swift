import Platform
public import ShardStore
public import Corpus
import Foundation
public import GenerativeModel
import MetricIndex
public import PairSampling
import PairStream
import VectorKernels

/// Trains a G.pt on a corpus, update by update.
///
/// What an update does depends on the configuration, the corpus and the updates before alone: not on the number of
/// workers, nor on how often training was interrupted.
public final class Trainer {
  public private(set) var description: ModelDescription
  /// The loss of the last update.
  public private(set) var loss = 0.0
  public var smoothedLoss: Double { smoothing.value }
  /// Whether there are held-out runs to measure a loss on.
  public let hasHeldOut: Bool
  /// What the corpus has and is not learned from.
  public var leftOut: LeftOut { stream.leftOut }
  public var step: Int { description.step }
  /// Whether all updates are made, or alignment has fallen for as long as the configuration is patient.
  public var isComplete: Bool { description.step >= description.training.steps || description.hasStalled }
  /// Whether the configuration wants prompts evaluated at this update, before the first one too, and they were not.
  public var isEvaluationDue: Bool {
    guard let interval = description.training.evaluationInterval else { return false }
    guard step.isMultiple(of: interval) || step >= description.training.steps else { return false }
    return description.evaluations?.last?.step != step
  }
  /// How many weights the model has.
  public var parameterCount: Int { shape.weights.parameterCount }

  private let directory: ModelDirectory
  /// Keeps other trainings away from the directory.
  private let claim: RunLocks
  private let shape: TransformerShape
  private let state: TrainingWeights
  private let lossAndGradient: LossAndGradient
  private let stream: PairStream
  private let heldOut: PairBatch?
  private var smoothing = LossAverage()

  /// Begins a training.
  ///
  /// - Parameters:
  ///   - metric: of prompts; nil for the corpus's last one.
  ///   - condition: SQL on runs and checkpoints; nil for all.
  ///   - statuses: of the runs.
  ///   - directory: where it will be stored.
  /// - Throws: `invalidRecipe` for a configuration that cannot be; `resource` where memory does not suffice;
  ///   `claimedElsewhere` while another training has the directory; what the pair stream refuses.
  public convenience init(
    _ configuration: GPTConfiguration, on corpus: CorpusDirectory, metric: String? = nil,
    condition: String? = nil, statuses: Set<RunStatus> = [.ok], into directory: ModelDirectory, workers: Int
  ) throws(CorpusError) {
    try configuration.validate()
    let stream = try Self.stream(
      configuration.training, corpus, metric: metric, condition: condition, statuses)
    let manifest = corpus.manifest
    let values = try Self.values(of: stream.metric, statuses, IndexReader(opening: corpus))
    var configuration = configuration
    configuration.training.augmentation = stream.options.augmentation.rawValue
    let description = ModelDescription(
      task: manifest.task, architecture: manifest.architecture.decided, recipe: manifest.recipe,
      metric: stream.metric, metricRange: values.range, bestTenth: values.bestTenth, scale: stream.scale,
      corpus: ModelDescription.Source(
        path: corpus.path, fingerprint: stream.fingerprint, runs: stream.runCount, condition: condition,
        pairsPerEpoch: stream.itemsPerEpoch,
        statuses: statuses == [.ok] ? nil : RunStatus.allCases.filter(statuses.contains)),
      configuration: configuration)
    try self.init(description, stream, corpus, directory, try directory.claim(), workers: workers)
    shape.weights.initialize(
      state.weights.base, seed: configuration.training.seed, kernels: lossAndGradient.transformer.kernels)
    state.ema.base.update(from: state.weights.base, count: shape.weights.count)
  }

  /// Goes on with a stored training.
  ///
  /// - Throws: `malformedModel`; `differentCorpus` if the corpus would give other pairs; `claimedElsewhere` while another
  ///   training has the directory.
  public convenience init(
    resuming directory: ModelDirectory, on corpus: CorpusDirectory, workers: Int
  ) throws(CorpusError) {
    guard directory.holdsTraining else {
      throw CorpusError(
        .malformedModel, "\(directory.path) holds no training to go on with",
        remedy: "leave out --resume to begin one")
    }
    // Before it is read: whoever has it may still change it.
    let claim = try directory.claim()
    let (description, smoothing, file) = try directory.readTraining()
    let stream = try Self.stream(
      description.training, corpus, metric: description.metric.name, condition: description.corpus.condition,
      description.corpus.wantedStatuses)
    guard stream.fingerprint == description.corpus.fingerprint else {
      throw CorpusError(
        .differentCorpus,
        "\(corpus.path) is not what \(directory.path) was trained on: it has \(stream.runCount) runs to train on, "
          + "and the model has seen \(description.corpus.runs), or others",
        remedy: "name the corpus as it was, or begin another model with another --out")
    }
    try self.init(description, stream, corpus, directory, claim, workers: workers)
    self.smoothing = smoothing
    try directory.read(file, shape.weights, into: state)
    let (epoch, batch) = description.step.quotientAndRemainder(dividingBy: stream.batchesPerEpoch)
    try stream.seek(PairStream.Position(epoch: epoch, batch: batch))
  }

  private init(
    _ description: ModelDescription, _ stream: PairStream, _ corpus: CorpusDirectory,
    _ directory: ModelDirectory, _ claim: RunLocks, workers: Int
  ) throws(CorpusError) {
    self.description = description
    self.directory = directory
    self.claim = claim
    self.stream = stream
    shape = try TransformerShape(description.model, description.architecture)
    try Self.requireMemory(shape, batch: description.training.batch)
    lossAndGradient = LossAndGradient(
      shape, batch: description.training.batch, kernels: try Kernels(), workers: workers)
    state = TrainingWeights(count: shape.weights.count)
    heldOut = try Self.heldOut(description, corpus, scale: stream.scale)
    hasHeldOut = heldOut != nil
  }

  /// Makes one update.
  ///
  /// - Throws: `diverged` if the loss is no number; `interrupted`; `damagedShard`.
  public func advance() throws(CorpusError) {
    let training = description.training
    let batch = try stream.next()
    loss = self.loss(
      state.weights.base, batch, DiffusionDraws(seed: training.seed, update: step), wantsGradient: true)
    guard loss.isFinite else {
      throw CorpusError(
        .diverged, "the loss of update \(step) is \(loss): training has diverged",
        remedy:
          "lower learning_rate or gradient_clip in the configuration; what \(directory.path) holds is from "
          + "before")
    }
    Optimizer(
      configuration: training, layout: shape.weights, threads: lossAndGradient.threads,
      functions: lossAndGradient.transformer.functions
    ).update(state, gradient: lossAndGradient.gradient.base, step)
    smoothing.add(loss)
    description.step += 1
  }

  /// The loss on pairs of held-out runs, with the same noise each time, by the averaged weights; nil without such runs.
  public func heldOutLoss() -> Double? {
    heldOut.map {
      loss(
        state.ema.base, $0, DiffusionDraws(seed: 0, update: 0, isHeldOut: true), wantsGradient: false)
    }
  }

  /// Notes how training goes.
  public func record() {
    description.record(loss: smoothedLoss, heldOutLoss: heldOutLoss())
  }

  /// The model as samples would be drawn with it now.
  public func sampler() throws(CorpusError) -> Sampler {
    try Sampler(description, shape, weights: state.ema.base)
  }

  /// Notes how well prompts are met now, and stores the weights as the model's if they never were met better.
  public func record(_ evaluation: TrainingEvaluation) throws(CorpusError) {
    description.evaluations =
      (description.evaluations ?? []).filter { $0.step < evaluation.step } + [evaluation]
    if description.bestEvaluation?.step == evaluation.step {
      try Files.createDirectory(directory.path)
      try directory.writeWeights(description, state, layout: shape.weights)
    }
  }

  /// Stores the model as it is.
  public func save() throws(CorpusError) {
    try Files.createDirectory(directory.path)
    try directory.write(description, state, smoothing: smoothing, layout: shape.weights)
  }

  /// Measures how long an update takes, and leaves everything as it was.
  public func secondsPerUpdate() throws(CorpusError) -> Double {
    let position = stream.position
    let batch = try stream.next()
    let draws = DiffusionDraws(seed: 0, update: 0)
    // The first time, memory is touched and products are compiled.
    _ = loss(state.weights.base, batch, draws, wantsGradient: true)
    let start = ContinuousClock.now
    var count = 0.0
    repeat {
      _ = loss(state.weights.base, batch, draws, wantsGradient: true)
      count += 1
    } while ContinuousClock.now - start < .seconds(2)
    let seconds = (ContinuousClock.now - start) / .seconds(1) / count
    try stream.seek(position)
    return seconds
  }

  /// Plans as many updates as fit into so much time.
  public func plan(seconds: Double) throws(CorpusError) {
    let steps = Int(max(1, seconds / (try secondsPerUpdate())))
    description.training.steps = min(steps, 1 << 31)
    description.training.warmup = min(description.training.warmup, steps / 10)
  }

  private func loss(
    _ weights: UnsafePointer<Float>, _ batch: PairBatch, _ draws: DiffusionDraws, wantsGradient: Bool
  ) -> Double {
    guard let start = batch.start.baseAddress, let target = batch.target.baseAddress,
      let startMetric = batch.startMetric.baseAddress, let targetMetric = batch.targetMetric.baseAddress
    else { preconditionFailure("a batch has pairs") }
    return withExtendedLifetime(batch) {
      lossAndGradient.loss(
        weights,
        Examples(
          count: batch.count, start: start, target: target, startMetric: startMetric,
          targetMetric: targetMetric),
        draws: draws, wantsGradient: wantsGradient)
    }
  }
}

extension Trainer {
  /// What a model's pairs are drawn from, and how.
  package static func pairOptions(_ description: ModelDescription) -> PairStreamOptions {
    options(
      description.training, metric: description.metric.name, condition: description.corpus.condition,
      description.corpus.wantedStatuses)
  }

  private static func options(
    _ training: TrainingConfiguration, metric: String?, condition: String?, _ statuses: Set<RunStatus>
  ) -> PairStreamOptions {
    var options = PairStreamOptions()
    options.statuses = statuses
    options.metric = metric
    options.batchSize = training.batch
    options.seed = training.seed
    options.condition = training.condition(condition)
    options.augmentation = PairStreamOptions.Augmentation(rawValue: training.augmentation) ?? .none
    options.balance = PairStreamOptions.Balance(rawValue: training.balance) ?? .none
    options.initialStarts = training.initialStarts
    options.directions = PairStreamOptions.Directions(rawValue: training.directions) ?? .forward
    options.unchanged = training.unchanged
    options.workers = 1
    options.prefetch = 2
    return options
  }

  private static func stream(
    _ training: TrainingConfiguration, _ corpus: CorpusDirectory, metric: String?, condition: String?,
    _ statuses: Set<RunStatus>
  ) throws(CorpusError) -> PairStream {
    // The condition by itself, before it becomes a part of another one.
    if let condition { try IndexReader(opening: corpus).requireCondition(condition) }
    return try PairStream(corpus, options: options(training, metric: metric, condition: condition, statuses))
  }

  /// Pairs of held-out runs; nil where there are none.
  private static func heldOut(
    _ description: ModelDescription, _ corpus: CorpusDirectory, scale: Float
  ) throws(CorpusError) -> PairBatch? {
    var options = pairOptions(description)
    options.split = .test
    options.seed = 0
    options.batchSize = 256
    options.itemsPerEpoch = 1 << 16
    options.scale = .factor(scale)
    options.prefetch = 1
    do throws(CorpusError) {
      return try PairStream(corpus, options: options).next()
    } catch  where error.code == .emptySelection {
      return nil
    }
  }

  /// The lowest and the highest finite value of a metric among the runs of some statuses, and what the best tenth of
  /// their checkpoints reaches.
  private static func values(
    of metric: Metric, _ statuses: Set<RunStatus>, _ index: IndexReader
  ) throws(CorpusError) -> (range: [Float], bestTenth: Float?) {
    let measured =
      "FROM checkpoints JOIN runs USING (run) "
      + "WHERE \(RunFilter.hasStatus(statuses)) AND \(Metric.isMeasured(metric.name))"
    let ends = try index.rows("SELECT min(\(metric.column)), max(\(metric.column)) \(measured)")
    let tenth = try index.rows(
      """
      SELECT \(metric.column) \(measured)
      ORDER BY \(metric.column) \(metric.goal == .maximize ? "DESC" : "ASC")
      LIMIT 1 OFFSET (SELECT count(*) / 10 \(measured))
      """)
    return (
      (ends.first ?? []).map { Float($0.double ?? 0) }, tenth.first?.first?.double.map { Float($0) }
    )
  }

  /// The bytes that a training takes, but for the corpus.
  ///
  /// - Throws: `invalidRecipe`, as a training would.
  public static func bytes(
    _ configuration: GPTConfiguration, _ architecture: Architecture
  ) throws(CorpusError) -> Int {
    let shape = try TransformerShape(configuration.model, architecture)
    return bytes(shape, batch: configuration.training.batch)
  }

  private static func bytes(_ shape: TransformerShape, batch: Int) -> Int {
    let batches = 4 * (4 * batch + 256) * 2 * shape.parameterCount
    return 4 * 4 * shape.weights.count + LossAndGradient.bytes(shape, batch: batch) + batches
  }

  private static func requireMemory(_ shape: TransformerShape, batch: Int) throws(CorpusError) {
    let needed = bytes(shape, batch: batch)
    let meminfo = (try? Files.contents("/proc/meminfo", limit: 1 << 20)).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard let line = meminfo?.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let available = Int(line.filter(\.isNumber)).map({ $0 << 10 }), needed > available
    else { return }
    func gigabytes(_ bytes: Int) -> String { String(format: "%.1f GB", Double(bytes) / 1e9) }
    throw CorpusError(
      .resource,
      "this training needs \(gigabytes(needed)) of memory, and \(gigabytes(available)) are available",
      remedy: "choose a smaller width, fewer layers or a smaller batch, or a larger machine")
  }
}
