import Platform
import Maintenance
import Tasks
import ArgumentParser
import Corpus

/// `corpus generate --recipe`: what `corpus generate` does where no task is named.
struct GenerateFromRecipe: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recipe",
    abstract: "Make a corpus after a file that `corpus recipe` wrote.",
    discussion: """
      EXAMPLE
        corpus recipe corpora/mnist > mnist.json
        corpus generate --recipe mnist.json --runs '0..<48' --datasets Data --out elsewhere/mnist
      """)

  @Option(
    help: ArgumentHelp(
      "A file that `corpus recipe` printed. Without one, name a task: cartpole, mnist or cifar10.",
      valueName: "file"), completion: .file(extensions: ["json"]))
  var recipe: String

  @OptionGroup var options: GenerateOptions
  @OptionGroup var datasets: DatasetOptions

  func run() throws {
    let file = try RecipeFile(json: Files.contents(recipe, limit: RecipeFile.byteLimit), path: recipe)
    let task = try Tasks.task(of: file, path: recipe, datasets: datasets.directory)
    try options.run(
      CorpusRequest(
        task, version: file.generatorVersion, split: file.split, codec: file.codec ?? .delta,
        isRecipeGiven: true))
  }
}
