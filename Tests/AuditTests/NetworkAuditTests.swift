import Audit
import Corpus
import CorpusStore
import Datasets
import Foundation
import Maintenance
import MetricIndex
import NetworkSymmetry
import Platform
import ShardStore
import Tasks
import TestSupport
import Testing

/// Cases in which it is known what an audit must say.
@Suite(.temporaryDirectories) struct NetworkAuditTests {
  private let temporary = TemporaryDirectory()
  private let task: MNISTTask
  private let audit: NetworkAudit
  private let reader: CorpusReader

  init() throws {
    let digits = try ImageDataset.syntheticDigits(train: 640, test: 200)
    var recipe = MNISTRecipe(dataset: digits.identity)
    (recipe.epochs, recipe.batchSize, recipe.checkpoints) = (2, 64, 6)
    task = try MNISTTask(recipe, dataset: digits)
    let (corpus, _) = try CorpusRequest(task).open(temporary.path + "/corpus")
    _ = try GenerationJob(task: task, directory: corpus, seeds: 0..<60, workers: 2, codec: .delta)
      .run(cancellation: Cancellation()) { _ in }
    reader = CorpusReader(try IndexReader(opening: corpus))
    audit = try NetworkAudit(
      reader, trainingRuns: Array(0..<40), heldOutRuns: Array(40..<60), metric: .testLoss, goodMetric: 10,
      evaluator: task, workers: 2)
  }

  private func checkpoints(_ runs: Range<Int64>, step: Int = 5) throws -> [[Float]] {
    try runs.map { try reader.parameters(of: AuditedCheckpoint(run: $0, step: step)) }
  }

  private func report(_ networks: [[Float]]) throws -> AuditReport {
    try audit.run(networks.map { NetworkAudit.Candidate($0, prompt: 1, isBestPrompt: true) })
  }

  private func noise(_ count: Int, stream: UInt64) -> [Double] {
    var random = PhiloxGenerator(seed: 8, stream: stream)
    let direction = (0..<count).map { _ in (0..<12).reduce(-6.0) { sum, _ in sum + Double(random.uniform()) }
    }
    let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return direction.map { $0 / length }
  }

  @Test func `copies, also in another order and on another scale`() throws {
    let slices = try #require(UnitSlices(.mnist))
    let networks = try checkpoints(0..<20).map { network in
      var copy = network
      let layer = slices.layers[0]
      for (number, unit) in layer.units.enumerated() {
        let source = layer.units[(number + 3) % 10]
        for (index, position) in unit.enumerated() {
          let factor = Float(1 << (number % 3))
          copy[Int(position)] = network[Int(source[index])] * (layer.leadsIn[index] ? factor : 1 / factor)
        }
      }
      return copy
    }
    let report = try report(networks)
    #expect(report.verdict.good.hasPrefix("copies: 100 %"), "\(report.verdict)")
    for (run, sample) in report.samples.prefix(20).enumerated() {
      #expect(sample.nearest == AuditedCheckpoint(run: Int64(run), step: 5) && sample.overlap == 1)
      #expect(sample.distanceRelative < 1e-3)
    }
    #expect(report.copyingScore.z < -4 && report.recall == 1)
    #expect(report.novelAndGood.map(\.share) == [0, 0])
  }

  @Test func `noisy copies`() throws {
    let spread = try report(checkpoints(0..<2)).spread
    let networks = try checkpoints(0..<20).enumerated().map { number, network in
      zip(audit.matcher.balanced(network), noise(7960, stream: UInt64(number))).map {
        Float(Double($0) + 0.3 * spread * $1)
      }
    }
    let report = try report(networks)
    #expect(report.verdict.good.hasPrefix("near copies"), "\(report.verdict)")
    #expect(report.samples.prefix(20).allSatisfy { abs($0.distanceRelative - 0.3) < 0.03 })
    // Noise of that size among the known cases lies as far.
    let known = report.samples.filter { $0.group == "noise 0.2" }
    #expect(known.count == 8 && known.allSatisfy { abs($0.distanceRelative - 0.2) < 0.02 })
  }

  @Test func `interpolations`() throws {
    let (one, other) = (try checkpoints(0..<20), try checkpoints(20..<40))
    let networks = zip(one, other).map { one, other in
      let one = audit.matcher.balanced(one)
      let other = audit.matcher.aligned(audit.matcher.balanced(other), to: one)
      return zip(one, other).map { 0.5 * ($0 + $1) }
    }
    let report = try report(networks)
    #expect(report.verdict.good.hasPrefix("interpolations"), "\(report.verdict)")
    let known = report.samples.filter { $0.group == "interpolation" }
    #expect(known.count == 16 && known.count { $0.offSegment < 0.25 } >= 12)
  }

  @Test func `held-out networks are no copies`() throws {
    let report = try report(checkpoints(40..<60))
    #expect(report.verdict.good.hasPrefix("no copies"), "\(report.verdict)")
    #expect(abs(report.copyingScore.z) < 3)
    #expect(report.samples.filter { $0.group == "generated" }.allSatisfy { $0.offSegment > 0.5 })
    // As far as that, and good by the mark that all reach.
    #expect(report.novelAndGood[0].share > 0.2 && report.novelAndGood[1].share == 0)
  }

  @Test func `the same numbers with any number of threads, and what the search finds is the nearest of all`()
    throws
  {
    var networks = try checkpoints(0..<4, step: 3)
    networks += try checkpoints(40..<44, step: 2)
    func samples(_ workers: Int) throws -> [AuditReport.Sample] {
      try NetworkAudit(
        reader, trainingRuns: Array(0..<40), heldOutRuns: Array(40..<60), metric: .testLoss, goodMetric: 10,
        evaluator: task, workers: workers
      ).run(networks.map { NetworkAudit.Candidate($0) }).samples
    }
    let (one, three) = (try samples(1), try samples(3))
    #expect(one.map(\.distance) == three.map(\.distance) && one.map(\.overlap) == three.map(\.overlap))
    for (network, sample) in zip(networks, one) {
      let balanced = audit.matcher.balanced(network)
      var least = Double.infinity
      for run in 0..<40 as Range<Int64> {
        for step in 0..<6 {
          let other = try reader.parameters(of: AuditedCheckpoint(run: run, step: step))
          least = min(least, audit.matcher.distance(balanced, to: audit.matcher.balanced(other)))
        }
      }
      #expect(sample.distance == least)
    }
  }

  @Test func `by features few are compared, and the nearest is nearly always among them`() throws {
    var few = audit
    few.candidates = 24
    let networks = try checkpoints(0..<6, step: 4) + checkpoints(40..<52, step: 3)
    func distances(_ audit: NetworkAudit) throws -> [Double] {
      try audit.run(networks.map { NetworkAudit.Candidate($0) }).samples.prefix(networks.count).map(
        \.distance)
    }
    let (quick, exact) = (try distances(few), try distances(audit))
    #expect(quick != exact || zip(quick, exact).allSatisfy { $0 == $1 })
    for (quick, exact) in zip(quick, exact) { #expect(quick >= exact && quick <= 1.1 * exact) }
    // Copies are always found.
    #expect(quick.prefix(6).allSatisfy { $0 == 0 } && exact.prefix(6).allSatisfy { $0 == 0 })
    #expect(zip(quick, exact).count { $0 == $1 } >= 9)
  }

  @Test func `a few copies among many others are told`() throws {
    let report = try report(checkpoints(0..<3) + checkpoints(40..<60))
    #expect(report.verdict.good.hasPrefix("copies among them: 13 %"), "\(report.verdict)")
  }

  @Test func `without held-out runs nothing can be told`() throws {
    let alone = try NetworkAudit(
      reader, trainingRuns: Array(0..<40), heldOutRuns: [], metric: .testLoss, goodMetric: 10,
      evaluator: task,
      workers: 2)
    let report = try alone.run(checkpoints(0..<3).map { NetworkAudit.Candidate($0, isBestPrompt: true) })
    #expect(report.verdict.good.hasPrefix("cannot be told") && report.copyingScore.z.isNaN)
  }

  @Test func `networks better than all held-out ones are set beside the best of these`() throws {
    // The untrained ones are the best where more is better.
    let worst = try NetworkAudit(
      reader, trainingRuns: Array(0..<40), heldOutRuns: Array(40..<60), metric: .testLoss, goodMetric: 10,
      evaluator: task, workers: 2)
    let far = try checkpoints(0..<4).map { $0.map { 30 * $0 } }
    let heldOut = try worst.run(far.map { NetworkAudit.Candidate($0) }).samples.filter {
      $0.group == "held-out"
    }
    let all = try (40..<60).flatMap { try reader.metrics(of: $0).metrics[2] }.sorted()
    #expect(heldOut.count == 16 && heldOut.map(\.metric).sorted() == Array(all.suffix(16)))
  }

  @Test func `without an evaluator distances and the score are there, and metrics are not`() throws {
    let blind = try NetworkAudit(
      reader, trainingRuns: Array(0..<40), heldOutRuns: Array(40..<60), metric: .testLoss, goodMetric: 10,
      evaluator: nil, workers: 2)
    let report = try blind.run([NetworkAudit.Candidate(try checkpoints(0..<1)[0], isBestPrompt: true)])
    #expect(
      report.samples[0].metric.isNaN && report.samples[0].overlap == nil && report.overlapMeaning == nil)
    #expect(report.verdict.all.hasPrefix("copies"))
    #expect(report.copyingScore.z.isFinite)
  }

  @Test func `the score is that of the paper`() {
    // U = 1.5 + 4 + 0 of 12 pairs; mean 6, variance 12 * 8 / 12.
    let z = CopyingScore.z([2, 9, 0.5], [1, 2, 3, 4])
    #expect(abs(z - (5.5 - 6) / 8.0.squareRoot()) < 1e-12)
    #expect(CopyingScore.z([], [1]).isNaN)
  }
}
