import Corpus
import Foundation
import Overview
import Platform
import Tasks
import TestSupport
import Testing

@Suite("GenerationPlan")
struct GenerationPlanTests {
  private static func tiny() throws -> CartpoleTask {
    var recipe = CartpoleRecipe()
    (recipe.iterations, recipe.checkpoints, recipe.environments) = (3, 4, 16)
    return try CartpoleTask(recipe)
  }

  @Test("measures runs that it really makes, seals and indexes")
  func measures() throws {
    let times = try GenerationMeasurement(
      Self.tiny(), seconds: 0.01, workers: 2, cancellation: Cancellation()
    ) { _ in }
    #expect(times.task == "cartpole")
    #expect(times.batches.count >= 2)
    #expect(times.runs >= 4 && times.runs.isMultiple(of: 2))
    #expect(times.spread.contains(times.secondsPerRun))
    #expect(times.spread.lowerBound > times.sealingSeconds)
    // Four checkpoints of 1,250 numbers, which compress, and what the shard says of them.
    #expect((5_000.0..<60_000).contains(times.bytesPerRun))
    #expect(times.indexBytesPerRun > 100)
    #expect(times.slowdown >= 1)
  }

  @Test("multiplies by the runs, and waits for the last block")
  func multiplies() throws {
    let times = try GenerationMeasurement(
      Self.tiny(), seconds: 0.01, workers: 1, cancellation: Cancellation()
    ) { _ in }
    let plan = GenerationPlan(times, runs: 10_000, runsPerShard: 256, cores: 640, coresPerNode: 64)
    #expect(plan.checkpoints == 40_000)
    #expect(plan.files == 40)
    #expect(abs(plan.coreHours - 10_000 * times.secondsPerRun / 3600) < 1e-9)
    #expect(abs(plan.blockHours - 4 * times.secondsPerRun / 3600) < 1e-9)
    #expect(abs(plan.hours - (10_000.0 / 640 + 4) * times.secondsPerRun / 3600) < 1e-9)
    #expect(plan.bytes == Int(10_000 * times.bytesPerRun))
    let table = GenerationPlan.table([plan, plan])
    #expect(table.count == 5)
    #expect(table.last?.contains("20,000") == true)
    #expect(Set(table.map(\.count)).count == 1)
  }

  @Test("ends when it is asked to")
  func stops() throws {
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: CorpusError.self) {
      try GenerationMeasurement(Self.tiny(), seconds: 1, cancellation: cancellation) { _ in }
    }
  }

  @Test("knows the published corpora", arguments: PublishedCorpus.allCases)
  func published(corpus: PublishedCorpus) {
    #expect(Tasks.all.contains { $0.name == corpus.rawValue })
    #expect(corpus.runs > 10_000)
  }
}
