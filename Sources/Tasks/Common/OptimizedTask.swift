public import Corpus
public import Datasets

/// An optimizer that a generative model's one step is compared with.
public struct OptimizerSettings: Codable, Hashable, Sendable {
  public enum Name: String, Codable, Sendable, CaseIterable {
    /// `torch.optim.Adam` with its defaults.
    case adam
    /// `torch.optim.SGD` with Nesterov's momentum of 0.9.
    case nesterov
    /// Proximal policy optimization as the task's recipe has it, whose own optimizer is Adam.
    case ppo
  }

  public var name: Name
  /// Constant; with ``Name/ppo`` it falls as the recipe says.
  public var learningRate: Double

  public init(_ name: Name, learningRate: Double) {
    (self.name, self.learningRate) = (name, learningRate)
  }

  enum CodingKeys: String, CodingKey {
    case name
    case learningRate = "learning_rate"
  }
}

/// A task whose networks optimizers can train from where its runs begin.
public protocol OptimizedTask: Evaluator {
  /// The optimizers, each with the learning rates that are tried.
  static var optimizers: [OptimizerSettings.Name: [Double]] { get }
  /// What an update of ``optimize(seed:by:updates:isCancelled:)`` is.
  static var update: String { get }

  /// Trains the network that the run of a seed begins with.
  ///
  /// - Parameters:
  ///   - updates: ascending: the checkpoints that are kept, 0 for the start.
  /// - Returns: a run whose metrics are ``Evaluator/evaluatedMetrics``; nil on cancellation.
  func optimize(
    seed: UInt64, by optimizer: OptimizerSettings, updates: [Int], isCancelled: @Sendable () -> Bool
  ) throws(CorpusError) -> (metrics: [[Float]], parameters: [Float])?
}

/// Runs of another optimizer than the recipe's, as a task of their own: run i begins with the network of the seed
/// `2^62 + 2^32 start_seed + i`, or, where starts are `runs`, with that of run i of the base task's corpora.
public struct BaselineTask<Base: OptimizedTask>: TrainingTask {
  public static var name: String { "\(Base.name)-baseline" }
  public let recipe: JSONValue
  public let settings: BaselineRecipe
  private let base: Base

  /// - Throws: `invalidRecipe`.
  public init(_ settings: BaselineRecipe, base: Base) throws(CorpusError) {
    try settings.validate(Base.self)
    self.settings = settings
    self.base = base
    recipe = try CanonicalJSON.value(settings)
  }

  public init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    let settings = try recipe.decoded(as: BaselineRecipe.self, task: Self.name)
    try settings.validate(Base.self)
    try self.init(settings, base: Base(recipe: settings.base, datasets: datasets))
  }

  public var architecture: Architecture { base.architecture }
  public var metrics: [Metric] { base.evaluatedMetrics }
  public var checkpointsPerRun: Int { settings.updates.count }
  /// Nothing learns from them.
  public var split: SplitRule { SplitRule(testLimit: 0) }

  public func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    let trained = try base.optimize(
      seed: settings.startSeed(of: seed), by: settings.optimizer, updates: settings.updates,
      isCancelled: isCancelled)
    guard let trained else { return nil }
    return Run(
      seed: seed, iterations: settings.updates.map(Int32.init), metrics: trained.metrics,
      parameters: trained.parameters)
  }
}

/// What a corpus of ``BaselineTask`` records.
public struct BaselineRecipe: Codable, Hashable, Sendable {
  public enum Starts: String, Codable, Sendable {
    /// Networks that no corpus has.
    case random
    /// Those of the runs of the same numbers.
    case runs
  }

  /// The recipe of the task, which says what networks are and how they are measured.
  public var base: JSONValue
  public var optimizer: OptimizerSettings
  public var starts: Starts
  /// Of random starts.
  public var startSeed: UInt64
  /// The updates before each checkpoint: 0, …
  public var updates: [Int]

  public init(
    base: JSONValue, optimizer: OptimizerSettings, starts: Starts = .random, startSeed: UInt64, updates: [Int]
  ) {
    (self.base, self.optimizer, self.starts) = (base, optimizer, starts)
    (self.startSeed, self.updates) = (startSeed, updates)
  }

  enum CodingKeys: String, CodingKey {
    case base, optimizer, starts, updates
    case startSeed = "start_seed"
  }

  func startSeed(of run: Int64) -> UInt64 {
    starts == .runs ? UInt64(bitPattern: run) : 1 << 62 | startSeed << 32 | UInt64(bitPattern: run)
  }

  func validate<Base: OptimizedTask>(_ base: Base.Type) throws(CorpusError) {
    func refuse(_ member: String, _ remedy: String) -> CorpusError {
      CorpusError(
        .invalidRecipe, "\(member) in the recipe of task \(BaselineTask<Base>.name) cannot be", remedy: remedy
      )
    }
    guard Base.optimizers.keys.contains(optimizer.name) else {
      let known = Base.optimizers.keys.map(\.rawValue).sorted().joined(separator: " or ")
      throw refuse("optimizer \(optimizer.name.rawValue)", "let it be \(known)")
    }
    guard optimizer.learningRate > 0, optimizer.learningRate <= 1e3 else {
      throw refuse("learning_rate \(optimizer.learningRate)", "let it be above 0 and at most 1000")
    }
    guard startSeed < 1 << 29 else { throw refuse("start_seed \(startSeed)", "let it be below 2^29") }
    guard let first = updates.first, let last = updates.last, first == 0, last <= 1_000_000,
      updates.count > 1,
      zip(updates, updates.dropFirst()).allSatisfy(<)
    else { throw refuse("updates", "let them begin with 0 and ascend to at most 1000000") }
  }
}
