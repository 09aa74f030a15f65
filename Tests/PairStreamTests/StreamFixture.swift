import CorpusStore
import Maintenance
import Tasks
import Corpus
import Foundation
import MetricIndex
import PairSampling
import PairStream
import ShardStore
import TestSupport
import Testing
import VectorKernels

/// A corpus of small made-up runs of a network with one hidden layer of five units.
struct StreamFixture {
  static let architecture = Architecture(
    name: "mlp-3-5-2",
    tensors: [
      .init("fc1.weight", [5, 3]), .init("fc1.bias", [5]), .init("fc2.weight", [2, 5]),
      .init("fc2.bias", [2]),
    ],
    permutations: PermutationGroups(
      groups: [.init("fc1", 5)],
      tensors: ["fc1.weight": [["fc1"], [3]], "fc1.bias": [["fc1"]], "fc2.weight": [[2], ["fc1"]]]))

  let folder = TemporaryDirectory()
  let corpus: CorpusDirectory
  /// The last metric, of run and step; nil for one that tells both.
  private let curve: ((Int64, Int) -> Float)?
  /// What the parameters of some runs are multiplied by.
  private let factors: [Int64: Float]

  init(
    runs: Range<Int64> = 0..<10, checkpoints: Int = 23, codec: Codec = .delta, isSealed: Bool = true,
    permutations: PermutationGroups? = Self.architecture.permutations, name: String = Self.architecture.name,
    metrics: [Metric] = [.testLoss, .trainReturn], factors: [Int64: Float] = [:],
    curve: ((Int64, Int) -> Float)? = nil
  ) throws {
    self.curve = curve
    self.factors = factors
    let manifest = Manifest(
      task: "made-up",
      architecture: Architecture(
        name: name, tensors: Self.architecture.tensors, permutations: permutations), metrics: metrics,
      recipe: .object(["runs": .number(1)]), generatorVersion: 1,
      split: SplitRule(testFraction: 0.2, testLimit: 2),
      codec: codec)
    corpus = try CorpusDirectory(openingOrCreating: folder.path + "/corpus", manifest: manifest)
    try store(runs, checkpoints: checkpoints)
    if isSealed { try compact() }
  }

  func store(_ runs: Range<Int64>, checkpoints: Int = 23) throws {
    let index = try MetricIndex(openingOrCreating: corpus)
    let writer = try CorpusWriter(corpus, index: index)
    let header = ShardHeader(
      manifest: corpus.manifest, codec: corpus.manifest.codec, checkpoints: checkpoints)
    var encoder = try RunEncoder(header: header)
    for run in runs {
      _ = try writer.store(run, with: &encoder) { () throws(CorpusError) in
        let made = Self.run(run, checkpoints)
        let last = curve.map { curve in (0..<checkpoints).map { curve(run, $0) } } ?? made.metrics[1]
        return Run(
          seed: run, iterations: made.iterations, metrics: [made.metrics[0], last],
          parameters: factors[run].map { factor in made.parameters.map { $0 * factor } } ?? made.parameters)
      }
    }
    try writer.finish()
  }

  func compact() throws {
    let index = try MetricIndex(openingOrCreating: corpus)
    _ = try Compaction(directory: corpus).run { (file) throws(CorpusError) in try index.ingest([file]) }
    _ = try index.synchronize()
  }

  static func run(_ seed: Int64, _ checkpoints: Int) -> Run {
    let run = TestCorpus.run(seed, checkpoints: checkpoints, parameters: architecture.parameterCount)
    // Metrics that tell run and step.
    let steps = (0..<checkpoints).map { Float(seed * 1000) + Float($0) }
    return Run(
      seed: seed, iterations: run.iterations, metrics: [steps, steps.map { -$0 }], parameters: run.parameters)
  }

  /// Options without augmentation, one to one: what comes is what is stored.
  static func plain(_ change: (inout PairStreamOptions) -> Void = { _ in }) -> PairStreamOptions {
    var options = PairStreamOptions()
    options.batchSize = 8
    options.itemsPerEpoch = 80
    options.augmentation = .none
    options.scale = .factor(1)
    options.workers = 2
    change(&options)
    return options
  }

  func stream(_ change: (inout PairStreamOptions) -> Void = { _ in }) throws -> PairStream {
    try PairStream(corpus, options: Self.plain(change))
  }

  /// Of all runs, so many items an epoch in batches of 1,000: enough to tell distributions apart.
  func stream(items: Int, _ change: (inout PairStreamOptions) -> Void) throws -> PairStream {
    try stream {
      ($0.split, $0.batchSize, $0.itemsPerEpoch) = (.all, 1_000, items)
      change(&$0)
    }
  }
}

extension Kernels {
  /// The fastest that this processor runs, whatever the environment asks for.
  static var best: Kernels {
    do throws(CorpusError) { return try Kernels(environment: [:]) } catch { fatalError("\(error)") }
  }
}

/// A pair as a test compares it.
struct Pair: Hashable {
  var run: Int64
  var start: Int32
  var target: Int32
  var startMetric: Float
  var targetMetric: Float
  var parameters: [Float]
}

extension PairBatch {
  var pairs: [Pair] {
    (0..<count).map { i in
      let range = (i * parameterCount)..<((i + 1) * parameterCount)
      return Pair(
        run: run[i], start: startStep[i], target: targetStep[i], startMetric: startMetric[i],
        targetMetric: targetMetric[i],
        parameters: Array(start[range]) + (target.isEmpty ? [] : Array(target[range])))
    }
  }
}

extension PairStream {
  /// All pairs of the rest of an epoch.
  func restOfEpoch() throws -> [Pair] {
    let epoch = position.epoch
    var pairs: [Pair] = []
    while position.epoch == epoch { pairs += try next().pairs }
    return pairs
  }
}
