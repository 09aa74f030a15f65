/// What a whole corpus takes, from what some of its runs took.
public struct GenerationPlan: Sendable {
  public let measurement: GenerationMeasurement
  public let runs: Int
  /// The runs of a block, which becomes a sealed shard.
  public let runsPerShard: Int
  /// What the work is spread over.
  public let cores: Int
  public let coresPerNode: Int

  public init(
    _ measurement: GenerationMeasurement, runs: Int, runsPerShard: Int, cores: Int, coresPerNode: Int
  ) {
    self.measurement = measurement
    self.runs = runs
    self.runsPerShard = runsPerShard
    self.cores = cores
    self.coresPerNode = min(coresPerNode, cores)
  }

  public var checkpoints: Int { runs * measurement.checkpointsPerRun }

  public var coreHours: Double { Double(runs) * measurement.secondsPerRun / 3600 }

  /// On all cores: their share of the work, and then one block of a node, at most, that others wait for.
  public var hours: Double { coreHours / Double(cores) + blockHours }

  /// What a node takes for a block: each core makes one run after the other, and all wait for the last one.
  public var blockHours: Double {
    let rounds = (min(runs, runsPerShard) + coresPerNode - 1) / coresPerNode
    return Double(rounds) * measurement.secondsPerRun / 3600
  }

  public var bytes: Int { Int(Double(runs) * measurement.bytesPerRun) }
  public var indexBytes: Int { Int(Double(runs) * measurement.indexBytesPerRun) }
  /// Sealed shards.
  public var files: Int { (runs + runsPerShard - 1) / runsPerShard }
}
