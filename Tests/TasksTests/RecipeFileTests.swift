import Tasks
import Corpus
import Datasets
import Foundation
import Testing

@Suite struct RecipeFileTests {
  private static let task = Result {
    try CartpoleTask(smallRecipe(iterations: 3, checkpoints: 3))
  }

  private static func manifest() throws -> Manifest {
    let task = try task.get()
    return Manifest(
      task: task.name, architecture: task.architecture, metrics: task.metrics,
      recipe: task.recipe, generatorVersion: generatorVersion, split: SplitRule(testLimit: 77),
      codec: .zstd)
  }

  private static func text() throws -> String {
    String(decoding: try CanonicalJSON.data(RecipeFile(of: manifest()), pretty: true), as: UTF8.self)
  }

  private func task(_ text: String) throws -> any TrainingTask {
    let file = try RecipeFile(json: Data(text.utf8), path: "r.json")
    return try Tasks.task(of: file, path: "r.json", datasets: DatasetsDirectory("none"))
  }

  @Test func `says all that another corpus needs`() throws {
    let text = try Self.text()
    #expect(text.utf8.count < 3000)
    let file = try RecipeFile(json: Data(text.utf8), path: "r.json")
    #expect(file == RecipeFile(of: try Self.manifest()))
    #expect(file.split?.testLimit == 77 && file.codec == .zstd)
    let task = try task(text)
    #expect(try task.recipe == Self.manifest().recipe)
    #expect(try task.architecture == Self.manifest().architecture)
  }

  @Test func `may leave the split and the codec to the task`() throws {
    let text = try Self.text().replacing(/"codec"[^\n]*\n/, with: "").replacing(
      /,\s*"split" : \{[^}]*\}/, with: "")
    let file = try RecipeFile(json: Data(text.utf8), path: "r.json")
    #expect(file.split == nil && file.codec == nil)
  }

  static let wrong: [(String, String, code: CorpusError.Code, says: String)] = [
    ("{", "[{", .invalidRecipe, "is no recipe file"),
    (
      "\"checkpoint-corpus recipe\"", "\"checkpoint-corpus\"", .invalidRecipe,
      "its format is \"checkpoint-corpus\""
    ),
    ("\"version\" : 1", "\"version\" : 2", .unsupportedVersion, "version 2"),
    ("\"task\" : \"cartpole\"", "\"task\" : \"chess\"", .invalidRecipe, "task chess"),
    ("\"task\" : \"cartpole\"", "\"tusk\" : \"cartpole\"", .invalidRecipe, "`task` is missing"),
    ("\"task\"", "\"wish\" : 1, \"task\"", .invalidRecipe, "`wish` is unknown"),
    ("\"zstd\"", "\"zip\"", .invalidRecipe, "`codec`"),
    ("\"test_limit\" : 77", "\"test_limit\" : -1", .invalidRecipe, "`split.test_limit` cannot be -1"),
    ("\"test_limit\"", "\"best_limit\" : 1, \"test_limit\"", .invalidRecipe, "`split.best_limit` is unknown"),
    ("\"generator_version\" : 2", "\"generator_version\" : 99", .cannotReplay, "version 99"),
    ("\"generator_version\" : 2", "\"generator_version\" : 0", .cannotReplay, "version 0"),
    ("\"default\"", "\"random\"", .invalidRecipe, "`bias_initialization`"),
    ("\"iterations\" : 3", "\"iterations\" : 9007199254740993", .invalidRecipe, "9007199254740993"),
    ("\"iterations\" : 3", "\"iterations\" : 18446744073709551615", .invalidRecipe, "18446744073709551615"),
    ("\"gamma\"", "\"gama\" : 1, \"gamma\"", .invalidRecipe, "`gama` is unknown"),
    ("\"gravity\"", "\"gravty\" : {}, \"gravity\"", .invalidRecipe, "`physics.gravty` is unknown"),
    ("\"gamma\"", "\"gama\"", .invalidRecipe, "`gamma` is missing"),
    ("\"gamma\" : 0.99", "\"gamma\" : \"0.99\"", .invalidRecipe, "`gamma` should be a number"),
    ("\"gamma\" : 0.99", "\"gamma\" : 1.5", .invalidRecipe, "`gamma` of the Cartpole recipe is 1.5"),
    ("\"gamma\" : 0.99", "\"gamma\" : 1e999", .invalidRecipe, "is no recipe file"),
    ("\"iterations\" : 3", "\"iterations\" : 2.5", .invalidRecipe, "`iterations`"),
    ("\"iterations\" : 3", "\"iterations\" : 1e300", .invalidRecipe, "`iterations`"),
    ("\"iterations\" : 3", "\"iterations\" : null", .invalidRecipe, "`iterations`"),
  ]

  @Test(arguments: wrong.indices) func `refuses what it cannot be`(index: Int) throws {
    let (old, new, code, says) = Self.wrong[index]
    let text = try Self.text()
    let changed = text.replacing(old, with: new, maxReplacements: 1)
    #expect(changed != text)
    let error = #expect(throws: CorpusError.self) { try task(changed) }
    #expect(error?.code == code, "\(String(describing: error))")
    #expect(error?.message.contains("r.json") == true)
    #expect(error?.message.contains(says) == true, "\(String(describing: error))")
  }

  @Test(arguments: ["", "[]", "7", "null", "\u{0}", "{}"]) func `refuses what is no recipe`(text: String) {
    let error = #expect(throws: CorpusError.self) { try task(text) }
    #expect(error?.code == .invalidRecipe && error?.message.contains("r.json is no recipe file") == true)
  }

  // MARK: Data sets

  private func digits(_ change: (inout MNISTRecipe) -> Void) throws -> any TrainingTask {
    let images = try ImageDataset.syntheticDigits(train: 200, test: 10)
    var recipe = MNISTRecipe(dataset: images.identity)
    recipe.checkpoints = 2
    change(&recipe)
    return try MNISTTask(
      recipe: try CanonicalJSON.value(recipe), datasets: DatasetsDirectory("none"))
  }

  @Test func `draws as many images as the recipe says`() throws {
    #expect(try digits { _ in }.recipe["dataset"]?["train_images"] == .number(200))
  }

  @Test func `refuses other data than the recorded SHA-256`() throws {
    var error = #expect(throws: CorpusError.self) {
      try digits { $0.dataset.sha256 = String(repeating: "0", count: 64) }
    }
    #expect(error?.code == .differentDataset && error?.message.contains("000000000000…") == true)
    error = #expect(throws: CorpusError.self) { try digits { $0.dataset.trainImages = 201 } }
    #expect(error?.code == .differentDataset)
    error = #expect(throws: CorpusError.self) { try digits { $0.dataset.name = "ducks" } }
    #expect(error?.code == .missingDataset && error?.message.contains("ducks") == true)
  }

  @Test(arguments: [-1, 0, 1 << 40, .max]) func `refuses impossible numbers of images`(count: Int) throws {
    for keyPath in [\DatasetIdentity.trainImages, \.testImages] {
      let error = #expect(throws: CorpusError.self) {
        try digits {
          $0.dataset[keyPath: keyPath] = count
          $0.epochs = 100_000
        }
      }
      #expect(error?.code == .invalidRecipe)
    }
  }

  @Test func `refuses a training set that is less than a batch`() throws {
    let error = #expect(throws: CorpusError.self) { try digits { $0.batchSize = 208 } }
    #expect(error?.code == .invalidRecipe && error?.remedy.contains("training images, 200") == true)
  }
}
