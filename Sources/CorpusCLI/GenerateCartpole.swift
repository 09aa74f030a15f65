import ArgumentParser
import Generators

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

  func run() throws {
    var recipe = CartpoleRecipe()
    if let iterations { recipe.iterations = iterations }
    if let checkpoints { recipe.checkpoints = checkpoints }
    recipe.schedule = schedule.schedule
    recipe.scheduleMetric = schedule.scheduleMetric
    if let environments { recipe.environments = environments }
    try options.run(CartpoleGenerator(recipe))
  }
}
