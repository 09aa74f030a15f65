import ShardStore
import CorpusStore
import ArrayFiles
public import Platform
public import Corpus
import Foundation
public import MetricIndex

/// Writes runs in the layout of the published release: an LMDB directory each, with `runs.json` and `DONE.txt`.
///
/// A directory gets its name when it is complete.
public struct LMDBExport: Sendable {
  private let index: IndexReader
  private let task: ReleasedTask
  private let stepsPerEpoch: Int?

  /// - Throws: `differentTask` or `invalidRecipe` if the corpus is none that the released layout has names for.
  public init(_ index: IndexReader) throws(CorpusError) {
    self.index = index
    let manifest = index.directory.manifest
    task = try ReleasedTask(named: manifest.task)
    guard manifest.architecture == task.architecture, manifest.metrics == task.metrics else {
      throw CorpusError(
        .differentTask,
        "\(index.directory.path) has another architecture or other metrics than the released "
          + "corpus of \(task.name)", remedy: "export it to safetensors, npz or hdf5")
    }
    stepsPerEpoch = task.hasEpochs ? manifest.stepsPerEpoch : nil
    if task.hasEpochs, stepsPerEpoch ?? 0 < 1 {
      throw CorpusError(
        .invalidRecipe,
        "the recipe of \(index.directory.path) does not tell how many steps an epoch has",
        remedy: "export it to safetensors, npz or hdf5")
    }
  }

  /// Writes runs into a directory, which is made where it is missing.
  ///
  /// - Parameter progress: called after each run with the number of runs written.
  /// - Throws: `alreadyExists` if one of the runs is there; nothing is written then.
  public func write(
    _ runs: [Int64], to path: String, cancellation: Cancellation = Cancellation(),
    progress: (Int) -> Void = { _ in }
  ) throws(CorpusError) {
    if Files.exists(path), !Files.isDirectory(path) { throw ReservedPath.taken(path) }
    for run in runs { try ReservedPath.requireFree("\(path)/\(Self.name(run))") }
    try Files.createDirectory(path)
    let names = Set(runs.map(Self.name))
    try TemporaryFile.removeLeftovers(in: path) { names.contains($0) }
    let reader = CorpusReader(index)
    for (done, run) in runs.enumerated() {
      if cancellation.isCancelled {
        throw CorpusError(
          .interrupted,
          "stopped on request; the \(done) runs in \(path) before \(Self.name(run)) are complete",
          remedy: "go on with --where 'run >= \(run)'")
      }
      try write(reader.run(run), to: path)
      progress(done + 1)
    }
  }

  static func name(_ run: Int64) -> String { ReleasedMoment.padded(Int(run), 6) }

  private func write(_ run: Run, to path: String) throws(CorpusError) {
    let folder = "\(path)/\(Self.name(run.seed))"
    let temporary = TemporaryFile.path(for: folder)
    try Files.createDirectory(temporary)
    do throws(CorpusError) {
      let keys = run.iterations.map {
        "\(Self.name(run.seed))/\(ReleasedMoment(step: Int($0), stepsPerEpoch: stepsPerEpoch).text)"
      }
      try writeEntries(run, keys, to: temporary)
      try Files.write(Data(record(of: run, keys).text().utf8), to: "\(temporary)/runs.json")
      try Files.write(Data(), to: "\(temporary)/DONE.txt")
      try Files.publish(temporary, as: folder, replacing: false)
    } catch {
      try? Files.removeFolder(temporary)
      throw error.code == .alreadyExists
        ? ReservedPath.taken(folder)
        : error.naming(folder, insteadOf: temporary)
    }
  }

  private func writeEntries(_ run: Run, _ keys: [String], to folder: String) throws(CorpusError) {
    let length = run.parameterCount
    // Values take whole pages, and the tree above them next to nothing.
    let pages = run.count * (length / 1024 + 4) + 256
    let environment = try LMDBEnvironment(creating: folder, mapSize: pages * 4096)
    // A transaction keeps what it has changed in memory.
    let rows = max(1, (64 << 20) / (4 * length))
    for start in stride(from: 0, to: run.count, by: rows) {
      let transaction = try LMDBTransaction(environment)
      for step in start..<min(start + rows, run.count) {
        try transaction.put(run.parameters[(step * length)..<((step + 1) * length)], as: keys[step])
        try transaction.put(task.tensorSizes, as: keys[step] + "_arch")
        if task.metricNames == ["train_ret"] {
          try transaction.put([run.metrics[0][step]], as: keys[step] + "_train_ret")
        }
      }
      try transaction.commit()
    }
    try environment.synchronize()
  }

  /// The contents of `runs.json`.
  private func record(of run: Run, _ keys: [String]) -> PythonJSON {
    var checkpoints: [String: PythonJSON] = [:]
    for (step, key) in keys.enumerated() {
      checkpoints[key] = .object(
        Dictionary(
          uniqueKeysWithValues: zip(task.metricNames, run.metrics).map { ($0, .number(Double($1[step]))) }))
    }
    var metadata: [String: PythonJSON] = [:]
    for (index, name) in task.metricNames.enumerated() where task.isSummarized(name) {
      let values = run.metrics[index].map(Double.init)
      metadata[name] = .list(values)
      let optimal = "optimal_\(name.replacing("avg_", with: ""))"
      metadata[optimal] = .number(task.metrics[index].goal == .minimize ? values.pythonMin : values.pythonMax)
    }
    let length = run.parameterCount
    let vectors = (0..<run.count).map { run.parameters[($0 * length)..<(($0 + 1) * length)] }
    // As PyTorch's, the smallest value of a vector with a NaN is NaN.
    let whole = vectors.filter { !$0.contains(where: \.isNaN) }
    metadata["min_parameter_val"] = .number(whole.compactMap { $0.min().map(Double.init) }.pythonMin)
    metadata["max_parameter_val"] = .number(whole.compactMap { $0.max().map(Double.init) }.pythonMax)
    return .object(["checkpoints": .object(checkpoints), "metadata": .object(metadata)])
  }
}

extension ReleasedTask {
  /// Whether `metadata` lists a metric: those of the test set, and the return.
  fileprivate func isSummarized(_ name: String) -> Bool { name == "train_ret" || name.hasPrefix("avg_test") }
}

extension [Double] {
  /// The least value as Python's `min` finds it one by one from infinity on: NaN is never less.
  fileprivate var pythonMin: Double { reduce(.infinity) { $1 < $0 ? $1 : $0 } }
  fileprivate var pythonMax: Double { reduce(-.infinity) { $1 > $0 ? $1 : $0 } }
}
