import Corpus

/// An open directory of the release, from which runs are read. Serves one thread.
struct ReleasedFolder {
  private let folder: Release.Folder
  private let records: [String: ReleasedRecord]
  private let transaction: LMDBTransaction

  init(opening folder: Release.Folder) throws(CorpusError) {
    self.folder = folder
    records = try ReleasedRecord.read(folder: folder.path, runs: folder.runs.map(\.name))
    transaction = try LMDBTransaction(LMDBEnvironment(reading: folder.path), isReadOnly: true)
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
    return try transaction.withValue(of: key + "_arch") { (bytes) throws(CorpusError) in
      guard let bytes else { throw malformed(run, "\(key)_arch is missing") }
      return bytes.count.isMultiple(of: 4)
        ? (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) } : []
    }
  }

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
    let sizes = task.tensorSizes
    let length = task.architecture.parameterCount
    var failure: CorpusError?
    let parameters = [Float](unsafeUninitializedCapacity: checkpoints.count * length) { output, count in
      do throws(CorpusError) {
        for (row, (_, checkpoint)) in checkpoints.enumerated() {
          try check(checkpoint, of: name, sizes)
          if task.metricNames == ["train_ret"] { try checkReturn(checkpoint, of: name) }
          let target = UnsafeMutableRawBufferPointer(
            UnsafeMutableBufferPointer(rebasing: output[(row * length)..<((row + 1) * length)]))
          try copy(checkpoint, of: name, to: target)
        }
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

  private func check(_ checkpoint: Checkpoint, of run: String, _ sizes: [Float]) throws(CorpusError) {
    let key = checkpoint.key + "_arch"
    try transaction.withValue(of: key) { (bytes) throws(CorpusError) in
      guard let bytes else { throw malformed(run, "\(key) is missing") }
      let isRight = sizes.withUnsafeBytes { $0.elementsEqual(bytes) }
      guard isRight else { throw malformed(run, "\(key) does not hold the task's tensor sizes") }
    }
  }

  private func checkReturn(_ checkpoint: Checkpoint, of run: String) throws(CorpusError) {
    let key = checkpoint.key + "_train_ret"
    try transaction.withValue(of: key) { (bytes) throws(CorpusError) in
      guard let bytes else { throw malformed(run, "\(key) is missing") }
      guard bytes.count == 4 else { throw malformed(run, "\(key) has \(bytes.count) bytes, not 4") }
      let value = bytes.loadUnaligned(as: Float.self)
      let recorded = Float(checkpoint.metrics["train_ret"] ?? .nan)
      guard value == recorded || value.isNaN && recorded.isNaN else {
        throw malformed(run, "\(key) is \(value), and runs.json says \(recorded)")
      }
    }
  }

  private func copy(
    _ checkpoint: Checkpoint, of run: String, to target: UnsafeMutableRawBufferPointer
  ) throws(CorpusError) {
    try transaction.withValue(of: checkpoint.key) { (bytes) throws(CorpusError) in
      guard let bytes else { throw malformed(run, "\(checkpoint.key) is missing") }
      guard bytes.count == target.count else {
        throw malformed(run, "\(checkpoint.key) has \(bytes.count) bytes, not \(target.count)")
      }
      target.copyMemory(from: bytes)
    }
  }

  private func malformed(_ run: String, _ what: String) -> CorpusError {
    CorpusError(
      .malformedRelease, "run \(run) in \(folder.path) cannot be imported: \(what)",
      remedy: "fetch the directory again, or go without the run")
  }
}
