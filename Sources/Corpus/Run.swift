/// Whether a run is fit for training on; see Schemas/reference.md, section 5.
public enum RunStatus: String, Sendable, Codable, CaseIterable {
  case ok
  /// Some parameter of some checkpoint is not finite.
  case nonfinite
  /// All parameters are finite, and some magnitude exceeds ``limit``, which is that of the built-in tasks.
  case outOfRange = "out_of_range"

  /// The largest magnitude of a parameter in a run of a built-in task of status ``ok``.
  public static let limit: Float = 10

  /// The limit of a task's runs: nil, for none, but for those of the published corpora.
  public static func limit(ofTask task: String) -> Float? {
    ["cartpole", "mnist", "cifar10"].contains(task) ? limit : nil
  }

  /// The status of a run with these parameters.
  ///
  /// - Parameter limit: the largest magnitude of a run that is ``ok``; nil for any, as with networks of which nothing is
  ///   known.
  public init(of parameters: some Sequence<Float>, limit: Float? = Self.limit) {
    // Magnitudes are ordered as their bits are, with infinity and NaN above all others; the loop is one of vectors.
    var largest: UInt32 = 0
    for value in parameters { largest = max(largest, value.bitPattern & 0x7FFF_FFFF) }
    if largest >= Float.infinity.bitPattern {
      self = .nonfinite
      return
    }
    self = limit.map { largest > $0.bitPattern } ?? false ? .outOfRange : .ok
  }
}

/// One training run: all its checkpoints with their metrics.
public struct Run: Hashable, Sendable {
  /// The seed, which is also the run's name.
  public let seed: Int64
  public let status: RunStatus
  /// The training iteration of each checkpoint, ascending, 0 for the initial network.
  public let iterations: [Int32]
  /// For each metric of the corpus, in its order, one value a checkpoint.
  public let metrics: [[Float]]
  /// The checkpoints' parameter vectors one after the other: checkpoints × P.
  public let parameters: [Float]

  /// A run whose status follows from its parameters.
  ///
  /// - Parameter limit: as ``RunStatus/init(of:limit:)`` has it.
  /// - Precondition: `parameters.count` is a multiple of `iterations.count`, and every metric has one value a
  ///   checkpoint.
  public init(
    seed: Int64, iterations: [Int32], metrics: [[Float]], parameters: [Float],
    limit: Float? = RunStatus.limit
  ) {
    precondition(!iterations.isEmpty && parameters.count.isMultiple(of: iterations.count))
    precondition(metrics.allSatisfy { $0.count == iterations.count })
    self.seed = seed
    self.status = RunStatus(of: parameters, limit: limit)
    self.iterations = iterations
    self.metrics = metrics
    self.parameters = parameters
  }

  /// The number of checkpoints.
  public var count: Int { iterations.count }

  /// The length P of each parameter vector.
  public var parameterCount: Int { parameters.count / count }
}
