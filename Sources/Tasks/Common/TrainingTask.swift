public import Corpus
public import Datasets

/// The version of all tasks together, which every new corpus records: it goes up when the tasks' own recipes come to
/// mean other runs.
///
/// What a version changes is said by a member of the recipe, and a recipe without that member means what it meant
/// before. So a run is a function of recipe and seed under all ``generatorVersions`` alike.
///
/// - Version 2: Cartpole's biases begin as PyTorch's (`bias_initialization`); in version 1 they begin at 0.
public let generatorVersion = 2

/// The versions whose runs this program makes to the bit.
public let generatorVersions = 1...generatorVersion

/// A task that can make training runs: a run is a pure function of the recipe and the seed, whatever the
/// processor and however many runs are made at once.
public protocol TrainingTask: Sendable {
  /// The task's name, such as `cartpole`.
  static var name: String { get }

  /// A task after a recipe as a corpus records it.
  ///
  /// - Parameter datasets: where the images are, for tasks that need some.
  /// - Throws: `invalidRecipe` if no run can be made after it; what is wrong with the data.
  init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError)

  /// The parameter vector of its checkpoints.
  var architecture: Architecture { get }
  /// What is logged with every checkpoint, in the order of ``Run/metrics``.
  var metrics: [Metric] { get }
  /// Everything that determines a run but its seed.
  var recipe: JSONValue { get }
  /// The number of checkpoints of each run.
  var checkpointsPerRun: Int { get }
  /// Which runs of a new corpus are held out; without this, the last 5 %, at most 2,050.
  var split: SplitRule { get }

  /// The task that the same wishes gave under an earlier version, for a corpus that was begun then.
  ///
  /// - Parameter version: One of ``generatorVersions``.
  /// - Returns: the task itself by default: its recipes have always meant the same.
  func asOf(version: Int) throws(CorpusError) -> Self

  /// A small run whose contents are known, by which a machine is tried; nil, the default, where there is none.
  static func selfTest() throws(CorpusError) -> SelfTest?

  /// Trains one run on the calling thread.
  ///
  /// - Parameters:
  ///   - seed: The run's name and the seed of all its random numbers.
  ///   - isCancelled: Asked many times a second; true ends the work.
  /// - Returns: The run, or nil if it was cancelled.
  func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run?
}

extension TrainingTask {
  public var name: String { Self.name }

  public var split: SplitRule { SplitRule(testLimit: 2_050) }

  public func asOf(version: Int) throws(CorpusError) -> Self { self }

  public static func selfTest() throws(CorpusError) -> SelfTest? { nil }

  /// The run as it is stored: with one kind of NaN.
  ///
  /// Which NaN an operation gives depends on the order of its operands, and that on the compiler; a run that
  /// diverges has to have the same bits everywhere, too.
  package func storedRun(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    guard let run = try generate(seed: seed, isCancelled: isCancelled) else { return nil }
    func canonical(_ values: [Float]) -> [Float] { values.map { $0.isNaN ? .nan : $0 } }
    return Run(
      seed: run.seed, iterations: run.iterations, metrics: run.metrics.map(canonical),
      parameters: run.status == .nonfinite ? canonical(run.parameters) : run.parameters)
  }
}
