import Tasks
import ArgumentParser
import Datasets

struct GenerateCIFAR10: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cifar10",
    abstract: "Train CIFAR-10 classifiers by SGD.",
    discussion: """
      The defaults are the published recipe: 50 epochs, 200 checkpoints of 5,370 parameters a run. Without
      CIFAR-10 at hand, --dataset synthetic makes textures of its own.

      EXAMPLE
        corpus generate cifar10 --runs '0..<48' --datasets Data --out corpora/cifar10
      """)

  enum Source: String, ExpressibleByArgument, CaseIterable {
    case cifar10, synthetic
  }

  @OptionGroup var options: GenerateOptions
  @OptionGroup var datasets: DatasetOptions

  @Option(help: "The images: cifar10 or synthetic.")
  var dataset = Source.cifar10

  @Option(help: "Passes over the training images.")
  var epochs: Int?

  @Option(help: "Checkpoints of a run, at most one more than its optimizer steps (390 an epoch).")
  var checkpoints: Int?

  @OptionGroup var schedule: ScheduleOptions

  func run() throws {
    let images =
      switch dataset {
      case .cifar10: try ImageDataset.cifar10(in: datasets.directory)
      case .synthetic: try ImageDataset.syntheticTextures()
      }
    var recipe = CIFAR10Recipe(dataset: images.identity)
    if let epochs { recipe.epochs = epochs }
    if let checkpoints { recipe.checkpoints = checkpoints }
    recipe.schedule = schedule.schedule
    recipe.scheduleMetric = schedule.scheduleMetric
    try options.run(CIFAR10Task(recipe, dataset: images))
  }
}
