import Tasks
public import Corpus

/// A task as the published release stores it: what its runs consist of, and what it calls things.
public struct ReleasedTask: Sendable {
  public let name: String
  public let architecture: Architecture
  public let metrics: [Metric]
  /// What `runs.json` calls the metrics.
  let metricNames: [String]
  /// Whether keys name epoch and iteration, or the iteration alone.
  let hasEpochs: Bool
  /// How many runs are held out at most.
  let testLimit: Int

  public static let all = [
    ReleasedTask(
      name: MNISTTask.name, architecture: MNISTTask.architecture, metrics: MNISTTask.metrics,
      metricNames: classifierMetrics, hasEpochs: true, testLimit: 500),
    ReleasedTask(
      name: CIFAR10Task.name, architecture: CIFAR10Task.architecture,
      metrics: CIFAR10Task.metrics, metricNames: classifierMetrics, hasEpochs: true, testLimit: 2050),
    ReleasedTask(
      name: CartpoleTask.name, architecture: CartpoleTask.architecture,
      metrics: CartpoleTask.metrics, metricNames: ["train_ret"], hasEpochs: false, testLimit: 2050),
  ]

  private static let classifierMetrics = ["avg_train_loss", "avg_train_err", "avg_test_loss", "avg_test_err"]

  /// - Throws: `differentTask` if the release has no such task.
  public init(named name: String) throws(CorpusError) {
    guard let task = Self.all.first(where: { $0.name == name }) else {
      throw CorpusError(
        .differentTask, "there is no task \(name) in the released layout",
        remedy: "it has " + Self.all.map(\.name).joined(separator: ", "))
    }
    self = task
  }

  private init(
    name: String, architecture: Architecture, metrics: [Metric], metricNames: [String], hasEpochs: Bool,
    testLimit: Int
  ) {
    self.name = name
    self.architecture = architecture
    self.metrics = metrics
    self.metricNames = metricNames
    self.hasEpochs = hasEpochs
    self.testLimit = testLimit
  }

  /// The sizes of the tensors, as the entries `…_arch` hold them.
  var tensorSizes: [Float] { architecture.tensors.map { Float($0.count) } }
}

/// Where in its training a checkpoint was taken, as its key says it: `ep003_it00123` or `it00123`.
package struct ReleasedMoment: Hashable {
  /// From zero; nil where the task has none.
  let epoch: Int?
  /// The number of steps within the epoch; only the initial network has 0.
  let iteration: Int

  /// Reads the end of a key, after the run's name.
  package init?(_ text: some StringProtocol, hasEpochs: Bool) {
    guard text.hasSuffix(".pt") else { return nil }
    let parts = text.dropLast(3).split(separator: "_", omittingEmptySubsequences: false)
    func number(_ part: some StringProtocol, after prefix: String) -> Int? {
      guard part.hasPrefix(prefix) else { return nil }
      let digits = part.dropFirst(prefix.count)
      return digits.allSatisfy { ("0"..."9").contains($0) } ? Int(digits) : nil
    }
    guard parts.count == (hasEpochs ? 2 : 1), let iteration = number(parts[parts.count - 1], after: "it")
    else { return nil }
    self.iteration = iteration
    if hasEpochs {
      guard let epoch = number(parts[0], after: "ep") else { return nil }
      self.epoch = epoch
    } else {
      epoch = nil
    }
  }

  /// The moment after so many steps of the whole training.
  ///
  /// - Parameter stepsPerEpoch: nil where the task has no epochs.
  package init(step: Int, stepsPerEpoch: Int?) {
    guard let stepsPerEpoch else {
      (epoch, iteration) = (nil, step)
      return
    }
    (epoch, iteration) =
      step == 0 ? (0, 0) : ((step - 1) / stepsPerEpoch, (step - 1) % stepsPerEpoch + 1)
  }

  /// The number of steps of the whole training, or nil where there are too many.
  package func step(stepsPerEpoch: Int) -> Int32? {
    let (before, isTooLarge) = (epoch ?? 0).multipliedReportingOverflow(by: stepsPerEpoch)
    let (step, overflows) = before.addingReportingOverflow(iteration)
    return isTooLarge || overflows ? nil : Int32(exactly: step)
  }

  /// The end of the key.
  package var text: String {
    let end = "it\(Self.padded(iteration, 5)).pt"
    return epoch.map { "ep\(Self.padded($0, 3))_\(end)" } ?? end
  }

  static func padded(_ number: Int, _ length: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, length - digits.count)) + digits
  }
}
