import Tasks
import Corpus
import Datasets
import Foundation

/// Learns on which side of a border the points of a plane lie: a 2-8-1 network, and a file of one's own.
struct PointsTask: TrainingTask {
  /// Everything that determines a run but its seed. All of it is written to corpus.json, so that another value
  /// is another corpus.
  struct Recipe: Codable {
    /// What `sha256sum points.csv` says: the same numbers on other points would make other networks.
    var sha256: String
    var steps: Int
    var checkpoints: Int
    var rate: Float
  }

  static let name = "points"
  let architecture = Architecture(
    name: "mlp-2-8-1",
    tensors: [
      .init("hidden.weight", [8, 2]), .init("hidden.bias", [8]), .init("output.weight", [8]),
      .init("output.bias", [1]),
    ],
    // Which of them move together when hidden units are put into another order: training pairs are permuted so.
    permutations: PermutationGroups(
      groups: [.init("hidden", 8)],
      tensors: [
        "hidden.weight": [["hidden"], [2]], "hidden.bias": [["hidden"]], "output.weight": [["hidden"]],
      ]))
  let metrics = [Metric.trainLoss, .trainError]
  let recipe: JSONValue
  private let settings: Recipe
  private let points: [SIMD3<Float>]

  init(recipe: JSONValue, datasets: DatasetsDirectory) throws(CorpusError) {
    // Refuses members that are missing, unknown or of another type; what is impossible is ours to refuse.
    settings = try recipe.decoded(as: Recipe.self, task: Self.name)
    guard (1...1_000_000).contains(settings.steps), (2...settings.steps + 1).contains(settings.checkpoints),
      settings.rate > 0, settings.rate < 1
    else {
      throw CorpusError(
        .invalidRecipe, "the recipe of task points asks for what cannot be",
        remedy: "choose 2 to steps + 1 checkpoints and a rate between 0 and 1")
    }
    points = try Self.read("\(datasets.path)/points.csv", sha256: settings.sha256)
    self.recipe = recipe
  }

  var checkpointsPerRun: Int { settings.checkpoints }

  /// A run depends on nothing but the recipe and the seed, down to the last bit: no clock, no threads, no
  /// functions such as `exp` that every machine's library rounds its own way.
  func generate(seed: Int64, isCancelled: @Sendable () -> Bool) throws(CorpusError) -> Run? {
    var random = PhiloxGenerator(seed: UInt64(bitPattern: seed))
    var network = (0..<architecture.parameterCount).map { _ in random.uniform() - 0.5 }
    var iterations: [Int32] = []
    var parameters: [Float] = []
    var losses: [Float] = []
    var errors: [Float] = []
    for step in 0...settings.steps {
      if isCancelled() { return nil }
      // Evenly spread: the first network, the last one, and others between.
      if iterations.count * settings.steps <= step * (settings.checkpoints - 1) {
        let outcome = evaluate(network)
        iterations.append(Int32(step))
        parameters += network
        losses.append(outcome.loss)
        errors.append(outcome.error)
      }
      descend(&network, on: points[Int(random.integer(below: UInt32(points.count)))])
    }
    return Run(seed: seed, iterations: iterations, metrics: [losses, errors], parameters: parameters)
  }

  /// The activations of the hidden units, and the output, whose sign is the answer.
  private func answer(_ network: [Float], _ point: SIMD3<Float>) -> (hidden: [Float], output: Float) {
    let hidden = (0..<8).map { unit in
      max(0, network[2 * unit] * point.x + network[2 * unit + 1] * point.y + network[16 + unit])
    }
    return (hidden, (0..<8).reduce(network[32]) { $0 + network[24 + $1] * hidden[$1] })
  }

  /// One step down the gradient of (output - label)^2 / 2.
  private func descend(_ network: inout [Float], on point: SIMD3<Float>) {
    let (hidden, output) = answer(network, point)
    let slope = settings.rate * (output - point.z)
    for unit in 0..<8 {
      let inner = hidden[unit] > 0 ? slope * network[24 + unit] : 0
      network[24 + unit] -= slope * hidden[unit]
      network[2 * unit] -= inner * point.x
      network[2 * unit + 1] -= inner * point.y
      network[16 + unit] -= inner
    }
    network[32] -= slope
  }

  /// The mean loss, and the percentage of wrong answers.
  private func evaluate(_ network: [Float]) -> (loss: Float, error: Float) {
    var (loss, wrong): (Float, Float) = (0, 0)
    for point in points {
      let output = answer(network, point).output
      loss += (output - point.z) * (output - point.z) / 2
      if output * point.z <= 0 { wrong += 1 }
    }
    return (loss / Float(points.count), 100 * wrong / Float(points.count))
  }

  /// Reads lines of x, y and a label of 1 or -1.
  private static func read(_ path: String, sha256: String) throws(CorpusError) -> [SIMD3<Float>] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CorpusError(.missingDataset, "there is no \(path)", remedy: "name its directory with --datasets")
    }
    var hash = try SHA256()
    hash.update([UInt8](data))
    guard ContentHash(bytes: hash.finish()).description == sha256 else {
      throw CorpusError(
        .differentDataset, "\(path) has another SHA-256 than the recipe says", remedy: "find the right points"
      )
    }
    let points = String(decoding: data, as: UTF8.self).split(separator: "\n").map { line in
      line.split(separator: ",").compactMap { Float($0) }
    }
    guard !points.isEmpty, points.allSatisfy({ $0.count == 3 && abs($0[2]) == 1 }) else {
      throw CorpusError(.malformedDataset, "\(path) is not made of x,y,label", remedy: "write it anew")
    }
    return points.map { SIMD3($0[0], $0[1], $0[2]) }
  }
}
