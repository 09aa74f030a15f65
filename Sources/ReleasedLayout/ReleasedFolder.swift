import Corpus

/// An open directory of the release, from which runs are read. Serves one thread.
struct ReleasedFolder {
  private let folder: Release.Folder
  private let records: [String: ReleasedRecord]
  private let reader: LMDBReader

  init(opening folder: Release.Folder) throws(CorpusError) {
    self.folder = folder
    records = try ReleasedRecord.read(folder: folder.path, runs: folder.runs.map(\.name))
    reader = try LMDBReader(opening: folder.path)
  }

  /// A checkpoint's key and what it says.
  struct Checkpoint {
    let key: String
    let moment: ReleasedMoment
    let metrics: [String: Double]
  }

  /// The checkpoints that `runs.json` names.
  ///
  /// - Returns: in the order of their keys as strings.
  func checkpoints(of run: String, hasEpochs: Bool) throws(CorpusError) -> [Checkpoint] {
    guard let record = records[run] else {
      throw malformed(run, "runs.json does not have it")
    }
    var checkpoints: [Checkpoint] = []
    checkpoints.reserveCapacity(record.checkpoints.count)
    for (key, metrics) in record.checkpoints {
      guard key.hasPrefix(run + "/"),
        let moment = ReleasedMoment(key.dropFirst(run.utf8.count + 1), hasEpochs: hasEpochs)
      else { throw malformed(run, "runs.json has the key \(key), which is none of it") }
      checkpoints.append(Checkpoint(key: key, moment: moment, metrics: metrics))
    }
    guard !checkpoints.isEmpty else { throw malformed(run, "runs.json names no checkpoints of it") }
    return checkpoints.sorted { $0.key < $1.key }
  }

  /// The sizes of the tensors of a run's first checkpoint, from its entry `…_arch`.
  func tensorSizes(of run: String) throws(CorpusError) -> [Float] {
    guard let key = records[run]?.checkpoints.keys.min() else {
      throw malformed(run, "runs.json names no checkpoints of it")
    }
    var sizes: [Float] = []
    try reader.read([LMDBReader.Key(name: key + "_arch", limit: Self.longestArch)]) {
      (_, value) throws(CorpusError) in
      guard case .bytes(let bytes) = value else { throw malformed(run, "\(key)_arch is missing") }
      guard bytes.count.isMultiple(of: 4) else { return }
      sizes = (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return sizes
  }

  /// Bytes: more than a number for each tensor of any network takes.
  private static let longestArch = 1 << 16

  /// Reads a whole run and checks each of its entries.
  ///
  /// - Parameter stepsPerEpoch: 0 where the task has no epochs.
  /// - Throws: `malformedRelease`, naming the first entry that is not as it should be.
  func run(
    _ name: String, seed: Int64, task: ReleasedTask, stepsPerEpoch: Int
  ) throws(CorpusError) -> Run {
    let checkpoints = try inOrderOfTime(
      checkpoints(of: name, hasEpochs: task.hasEpochs), of: name, task, stepsPerEpoch: stepsPerEpoch)
    var metrics: [[Float]] = []
    for metric in task.metricNames {
      metrics.append(
        try checkpoints.map { (_, checkpoint) throws(CorpusError) in
          guard let value = checkpoint.metrics[metric] else {
            throw malformed(name, "\(checkpoint.key) has no \(metric) in runs.json")
          }
          return Float(value)
        })
    }
    let length = task.architecture.parameterCount
    var failure: CorpusError?
    let parameters = [Float](unsafeUninitializedCapacity: checkpoints.count * length) { output, count in
      do throws(CorpusError) {
        try read(checkpoints.map(\.1), of: name, task, into: UnsafeMutableRawBufferPointer(output))
        count = checkpoints.count * length
      } catch {
        failure = error
        count = 0
      }
    }
    if let failure { throw failure }
    return Run(seed: seed, iterations: checkpoints.map(\.0), metrics: metrics, parameters: parameters)
  }

  /// Checkpoints with their steps of the whole training, ascending.
  private func inOrderOfTime(
    _ checkpoints: [Checkpoint], of run: String, _ task: ReleasedTask, stepsPerEpoch: Int
  ) throws(CorpusError) -> [(Int32, Checkpoint)] {
    var timed: [(Int32, Checkpoint)] = []
    timed.reserveCapacity(checkpoints.count)
    for checkpoint in checkpoints {
      guard !task.hasEpochs || checkpoint.moment.iteration <= stepsPerEpoch else {
        throw CorpusError(
          .malformedRelease,
          "run \(run) in \(folder.path) cannot be imported: an epoch has \(stepsPerEpoch) steps, and "
            + "\(checkpoint.key) is after more", remedy: "give the right --steps-per-epoch")
      }
      guard let step = checkpoint.moment.step(stepsPerEpoch: stepsPerEpoch) else {
        throw malformed(run, "\(checkpoint.key) is after too many steps")
      }
      timed.append((step, checkpoint))
    }
    timed.sort { $0.0 < $1.0 }
    for (a, b) in zip(timed, timed.dropFirst()) where a.0 == b.0 {
      throw malformed(run, "\(a.1.key) and \(b.1.key) are of one iteration")
    }
    return timed
  }

  /// Reads the parameters of checkpoints, and compares what else the release has of them.
  ///
  /// - Parameter output: checkpoints × P floats.
  private func read(
    _ checkpoints: [Checkpoint], of run: String, _ task: ReleasedTask,
    into output: UnsafeMutableRawBufferPointer
  ) throws(CorpusError) {
    let sizes = task.tensorSizes
    let length = 4 * task.architecture.parameterCount
    let isReturn = task.metricNames == ["train_ret"]
    var keys: [LMDBReader.Key] = []
    for checkpoint in checkpoints {
      keys.append(LMDBReader.Key(name: checkpoint.key + "_arch", limit: 4 * sizes.count))
      if isReturn { keys.append(LMDBReader.Key(name: checkpoint.key + "_train_ret", limit: 4)) }
      keys.append(LMDBReader.Key(name: checkpoint.key, limit: length))
    }
    let keysEach = isReturn ? 3 : 2
    try reader.read(keys) { (number, value) throws(CorpusError) in
      let checkpoint = checkpoints[number / keysEach]
      let key = keys[number]
      switch number % keysEach {
      case 0:
        if case .missing = value { throw malformed(run, "\(key.name) is missing") }
        guard case .bytes(let bytes) = value, sizes.withUnsafeBytes({ $0.hasBytes(of: bytes) }) else {
          throw malformed(run, "\(key.name) does not hold the task's tensor sizes")
        }
      case keysEach - 1:
        let bytes = try bytes(of: value, key, run)
        let start = number / keysEach * length
        UnsafeMutableRawBufferPointer(rebasing: output[start..<(start + length)]).copyMemory(from: bytes)
      default:
        let bytes = try bytes(of: value, key, run)
        let value = bytes.loadUnaligned(as: Float.self)
        let recorded = Float(checkpoint.metrics["train_ret"] ?? .nan)
        guard value == recorded || value.isNaN && recorded.isNaN else {
          throw malformed(run, "\(key.name) is \(value), and runs.json says \(recorded)")
        }
      }
    }
  }

  /// A value of exactly the length that it should have.
  private func bytes(
    of value: LMDBReader.Value, _ key: LMDBReader.Key, _ run: String
  ) throws(CorpusError) -> UnsafeRawBufferPointer {
    switch value {
    case .missing: throw malformed(run, "\(key.name) is missing")
    case .bytes(let bytes) where bytes.count == key.limit: return bytes
    case .bytes(let bytes): throw malformed(run, "\(key.name) has \(bytes.count) bytes, not \(key.limit)")
    case .long(let count): throw malformed(run, "\(key.name) has \(count) bytes, not \(key.limit)")
    }
  }

  private func malformed(_ run: String, _ what: String) -> CorpusError {
    CorpusError(
      .malformedRelease, "run \(run) in \(folder.path) cannot be imported: \(what)",
      remedy: "fetch the directory again, or go without the run")
  }
}
