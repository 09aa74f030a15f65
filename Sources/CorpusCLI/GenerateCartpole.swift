import Tasks
import ArgumentParser

struct GenerateCartpole: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cartpole",
    abstract: "Train Cartpole policies by PPO.",
    discussion: """
      The defaults are the published recipe: 500 iterations, 200 checkpoints of 1,250 parameters a run.

      EXAMPLE
        corpus generate cartpole --runs '0..<48' --out corpora/cartpole
      """)

  @OptionGroup var options: GenerateOptions

  @Option(help: "PPO iterations of a run (default: 500).")
  var iterations: Int?

  @Option(help: "Checkpoints of a run, at most one more than its iterations (default: 200).")
  var checkpoints: Int?

  @OptionGroup var schedule: ScheduleOptions

  @Option(help: "Environments that run in parallel, a multiple of 16 (default: 512).")
  var environments: Int?

  @Option(
    help: """
      Measure each checkpoint by so many fresh episodes, too, a multiple of 16, and log their mean as eval_return: \
      train_return, of the last 200 episodes of training, lags behind policies that improve fast (default: no).
      """)
  var evaluationEpisodes: Int?

  @Option(
    help: "Iterations over which the learning rate falls to 0, at least --iterations (default: as many).")
  var decayIterations: Int?

  func run() throws {
    var recipe = CartpoleRecipe()
    if let iterations { recipe.iterations = iterations }
    if let checkpoints { recipe.checkpoints = checkpoints }
    recipe.schedule = schedule.schedule
    recipe.scheduleMetric = schedule.scheduleMetric
    if let environments { recipe.environments = environments }
    recipe.evaluationEpisodes = evaluationEpisodes
    recipe.decayIterations = decayIterations
    try options.run(CartpoleTask(recipe))
  }
}
