import Tasks
import Corpus
import Foundation
import Testing
import VectorKernels

@Suite struct EvalReturnTests {
  private func recipe(_ change: (inout CartpoleRecipe) -> Void = { _ in }) -> CartpoleRecipe {
    var recipe = CartpoleRecipe()
    (recipe.environments, recipe.iterations, recipe.checkpoints) = (64, 12, 5)
    recipe.evaluationEpisodes = 128
    change(&recipe)
    return recipe
  }

  private func run(_ recipe: CartpoleRecipe, seed: Int64 = 3) throws -> Run {
    try #require(try CartpoleTask(recipe).generate(seed: seed, isCancelled: { false }))
  }

  @Test func `is what the evaluator finds with the seed of the run, and leaves the rest as it was`() throws {
    let task = try CartpoleTask(recipe())
    #expect(task.metrics.map(\.name) == ["train_return", "eval_return"])
    let run = try run(recipe())
    let plain = try self.run(recipe { $0.evaluationEpisodes = nil })
    #expect(run.parameters == plain.parameters)
    #expect(run.metrics[0] == plain.metrics[0])
    let values = try task.evaluate(parameters: run.parameters, seed: 3, workers: 1)
    #expect(values == run.metrics[1].map { [$0, $0] })
    #expect(Set(run.metrics[1]).count == 5)
  }

  @Test func `is the train_return of an initial policy where there are as many environments`() throws {
    let run = try run(recipe { $0.evaluationEpisodes = 64 })
    #expect(run.metrics[0][0] == run.metrics[1][0])
  }

  @Test func `chooses checkpoints where it is there, unless another metric is named`() throws {
    let spread = recipe { ($0.schedule, $0.checkpoints) = (.metric, 4) }
    #expect(try CartpoleTask(spread).recipe["schedule_metric"] == .string("eval_return"))
    let all = try run(recipe { $0.checkpoints = 13 })
    let kept = CheckpointSchedule.spread(count: 4, over: all.metrics[1])
    #expect(try run(spread).iterations == kept.map(Int32.init))
    #expect(try run(spread).metrics[1] == kept.map { all.metrics[1][$0] })

    let byTraining = recipe {
      ($0.schedule, $0.checkpoints) = (.metric, 4)
      $0.scheduleMetric = "train_return"
    }
    let others = CheckpointSchedule.spread(count: 4, over: all.metrics[0])
    #expect(try run(byTraining).iterations == others.map(Int32.init))
    #expect(try run(byTraining).metrics[1] == others.map { all.metrics[1][$0] })
  }

  @Test func `cannot choose them where it is not measured`() {
    let error = #expect(throws: CorpusError.self) {
      _ = try CartpoleTask(
        recipe {
          $0.evaluationEpisodes = nil
          ($0.schedule, $0.scheduleMetric) = (.metric, "eval_return")
        })
    }
    #expect(error?.code == .invalidRecipe)
  }
}

@Suite struct DecayIterationTests {
  @Test func `a run of fewer iterations is the beginning of the whole one`() throws {
    var recipe = CartpoleRecipe()
    (recipe.environments, recipe.iterations, recipe.checkpoints) = (64, 12, 13)
    let whole = try #require(try CartpoleTask(recipe).generate(seed: 1, isCancelled: { false }))
    (recipe.iterations, recipe.checkpoints) = (5, 6)
    let shorter = try #require(try CartpoleTask(recipe).generate(seed: 1, isCancelled: { false }))
    #expect(shorter.parameters != Array(whole.parameters.prefix(shorter.parameters.count)))
    recipe.decayIterations = 12
    let beginning = try #require(try CartpoleTask(recipe).generate(seed: 1, isCancelled: { false }))
    #expect(beginning.parameters == Array(whole.parameters.prefix(beginning.parameters.count)))
    #expect(beginning.metrics[0] == Array(whole.metrics[0].prefix(6)))
  }
}
