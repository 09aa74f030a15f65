import Tasks
import ArgumentParser
import Datasets

struct GenerateMNIST: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mnist",
    abstract: "Train MNIST classifiers by SGD.",
    discussion: """
      The defaults are the published recipe: 25 epochs, 200 checkpoints of 7,960 parameters a run. Without
      MNIST at hand, --dataset synthetic draws digits of its own.

      EXAMPLE
        corpus generate mnist --runs '0..<48' --datasets Data --out corpora/mnist
      """)

  enum Source: String, ExpressibleByArgument, CaseIterable {
    case mnist, synthetic
  }

  @OptionGroup var options: GenerateOptions
  @OptionGroup var datasets: DatasetOptions

  @Option(help: "The images: mnist or synthetic.")
  var dataset = Source.mnist

  @Option(help: "Passes over the training images.")
  var epochs: Int?

  @Option(help: "Checkpoints of a run, at most one more than its optimizer steps (468 an epoch).")
  var checkpoints: Int?

  @OptionGroup var schedule: ScheduleOptions

  func run() throws {
    let images =
      switch dataset {
      case .mnist: try ImageDataset.mnist(in: datasets.directory)
      case .synthetic: try ImageDataset.syntheticDigits()
      }
    var recipe = MNISTRecipe(dataset: images.identity)
    if let epochs { recipe.epochs = epochs }
    if let checkpoints { recipe.checkpoints = checkpoints }
    recipe.schedule = schedule.schedule
    recipe.scheduleMetric = schedule.scheduleMetric
    try options.run(MNISTTask(recipe, dataset: images))
  }
}

/// Where the tasks on images find them.
struct DatasetOptions: ParsableArguments {
  @Option(
    name: .customLong("datasets"),
    help: ArgumentHelp(
      "Where the data sets are (default: the environment variable CORPUS_DATASETS, or Data).",
      valueName: "dir"), completion: .directory)
  var path: String?

  var directory: DatasetsDirectory { DatasetsDirectory(path) }
}
