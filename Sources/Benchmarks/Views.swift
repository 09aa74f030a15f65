import ArgumentParser
import Corpus
import Datasets
import Evaluation
import Foundation
import GenerativeModel
import Platform
import SampleViews
import ShardStore
import Tasks

/// Networks a second on a plane of MNIST classifiers, over all test images.
struct PlaneSpeed: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "plane-speed")

  @Option var datasets: String?
  @Option var cells = 256
  @Option var workers = 1
  @Flag(help: "Wrong answers in place of the loss.") var errors = false

  func run() throws {
    let task = try MNISTTask(publishedIn: DatasetsDirectory(datasets))
    var random = PhiloxGenerator(seed: 1)
    let directions = (0..<2).map { _ in
      (0..<task.architecture.parameterCount).map { _ in 0.01 * (2 * random.uniform() - 1) }
    }
    let plane = ParameterPlane(
      origin: task.initialNetwork(seed: 0), first: directions[0], second: directions[1])
    let began = ContinuousClock.now
    let survey = PlaneSurvey(
      task.evaluator(of: plane, metric: errors ? 1 : 0, images: nil), workers: workers)
    let middles = PlaneSurvey.middles(from: -8, to: 8, count: cells)
    let values = try survey.values(x: middles, y: middles, cancellation: Cancellation()) { _ in }
    let seconds = began.duration(to: .now) / .seconds(1)
    let mean = values.joined().reduce(0.0) { $0 + Double($1) } / Double(cells * cells)
    print(
      String(
        format: "mean %.4f seconds %.2f networks_per_second %.1f", mean, seconds,
        Double(cells * cells) / seconds))
  }
}

/// A model's landscape, walks and policies, timed, and written as a report has them.
struct Views: ParsableCommand {
  @Argument var model: String
  @Option var corpus: String?
  @Option var datasets: String?
  @Option var out: String
  @Option var samples = 256
  @Option var samplingSteps = 20
  @Option var prompt: Float?
  @Option(parsing: .upToNextOption) var cells: [Int] = []
  @Option var images: Int?
  @Option var workers = Workers.available

  func run() throws {
    let sampler = try Sampler(opening: ModelDirectory(model))
    let description = sampler.description
    let measurer = try TaskMeasurer(
      of: description, datasets: DatasetsDirectory(datasets), workers: workers)
    let reader = try StartReader(
      CorpusDirectory(opening: corpus ?? description.corpus.path), for: description)
    let viewer = SampleViewer(
      sampler, measurer: measurer, reader: reader, sampling: SamplingOptions(steps: samplingSteps),
      workers: workers)
    var options = LandscapeOptions(task: description.task)
    options.samples = samples
    if !cells.isEmpty { options.cells = cells }
    if let images { options.images = images }
    let start = try viewer.starts(1)[0]
    try write("landscape") { try viewer.landscape(from: start, prompt: prompt, options) }
    try write("walks") { try viewer.walks() }
    if description.task == CartpoleTask.name {
      try write("cartpole") { try viewer.cartpolePolicies(from: viewer.starts(2)) }
    }
  }

  private func write(_ name: String, _ make: () throws -> some Encodable) throws {
    let began = ContinuousClock.now
    let data = try CanonicalJSON.data(make(), pretty: false)
    let seconds = began.duration(to: .now) / .seconds(1)
    try Files.write(data, to: "\(out)/\(name).json")
    print(String(format: "%@: %.1f s, %.2f MB", name, seconds, Double(data.count) / 1e6))
  }
}
