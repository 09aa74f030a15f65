import Platform
import ShardStore
import Maintenance
import Tasks
import Corpus
import Datasets
import Foundation
import MetricIndex
import TestSupport
import Testing

/// The task that CONTRIBUTING.md adds: it goes all the way that tasks of this package go.
@Suite(.temporaryDirectories) struct ExampleTaskTests {
  private let temporary = TemporaryDirectory()
  private var datasets: DatasetsDirectory { DatasetsDirectory(temporary.path) }

  private static func file(_ path: String) throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  /// The blocks of CONTRIBUTING.md in a language.
  private static func blocks(_ language: String) throws -> [String] {
    try file("CONTRIBUTING.md").components(separatedBy: "```\(language)\n").dropFirst().map {
      $0.components(separatedBy: "```")[0]
    }
  }

  /// The recipe file of CONTRIBUTING.md, for points in and around a circle.
  private func recipe() throws -> RecipeFile {
    var random = PhiloxGenerator(seed: 3)
    var csv = ""
    for _ in 0..<200 {
      let (x, y) = (2 * random.uniform() - 1, 2 * random.uniform() - 1)
      csv += "\(x),\(y),\(x * x + y * y < 0.5 ? 1 : -1)\n"
    }
    try csv.write(toFile: temporary.path + "/points.csv", atomically: true, encoding: .utf8)
    var hash = try SHA256()
    hash.update(Array(csv.utf8))
    let digest = ContentHash(bytes: hash.finish()).description
    let text = try #require(try Self.blocks("json").first { $0.contains("\"points\"") })
    return try RecipeFile(
      json: Data(text.replacing(/"sha256": "[^"]*"/, with: "\"sha256\": \"\(digest)\"").utf8), path: "recipe")
  }

  @Test func `CONTRIBUTING names the file that is tested here, and what is in it`() throws {
    let text = try Self.file("CONTRIBUTING.md")
    let link = try #require(text.firstMatch(of: /\]\(Tests\/\w+\/(\w+\.swift)\)/), "no link to the example")
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let example = try String(contentsOf: folder.appendingPathComponent(String(link.1)), encoding: .utf8)
    // The line that registers it, as a test does it, and so a program that imports this package.
    let task = try #require(text.firstMatch(of: /Tasks\.register\((\w+)\.self\)/), "nobody registers it").1
    let conforms = try #require(text.firstMatch(of: /conforms to `(\w+)`/), "no protocol").1
    #expect(example.contains("struct \(task): \(conforms) {"))
  }

  @Test func `is trained, stored, indexed, verified, replayed and repaired`() throws {
    Tasks.register(PointsTask.self)
    let recipe = try recipe()
    let task = try Tasks.task(of: recipe, path: "recipe", datasets: datasets)
    let directory = try CorpusDirectory(
      openingOrCreating: temporary.path + "/corpus",
      manifest: Manifest(
        task: task.name, architecture: task.architecture, metrics: task.metrics,
        recipe: task.recipe, generatorVersion: generatorVersion, split: task.split, codec: .delta))
    let made = try GenerationJob(
      task: task, directory: directory, seeds: 0..<5, workers: 2, codec: .delta
    ).run(cancellation: Cancellation()) { _ in }
    #expect(made.made == 5 && made.checkpoints == 5 * task.checkpointsPerRun)

    let errors = try IndexReader(opening: directory).rows(
      "SELECT avg(train_error) FROM checkpoints GROUP BY iteration ORDER BY iteration")
    #expect(errors.count == task.checkpointsPerRun)
    guard case .real(let first) = errors[0][0], case .real(let last) = errors[errors.count - 1][0] else {
      Issue.record("no errors")
      return
    }
    #expect(first > 35 && last < 15, "it learns")

    func problems() throws -> [CorpusError] {
      try CorpusVerification(directory, workers: 1).run(cancellation: Cancellation()) { _, _ in }.problems
    }
    #expect(try problems() == [])
    let again = try Tasks.task(of: directory.manifest, path: directory.path, datasets: datasets)
    let replay = try Replay(directory: directory, task: again, workers: 2).run(
      .range(0..<5), cancellation: Cancellation()
    ) { _, _ in }
    #expect(replay.equal == 5 && replay.problems == [])

    try Data("garbage".utf8).write(to: URL(fileURLWithPath: directory.absolute("runs/000/000002.h5")))
    let repair = try RepairJob(directory: directory, workers: 1) {
      () throws(CorpusError) in
      try Tasks.task(of: directory.manifest, path: directory.path, datasets: datasets)
    }.run(cancellation: Cancellation()) { _ in }
    #expect(repair.runs.map(\.run) == [2] && repair.runs[0].proofs == [.index])
    #expect(try problems() == [])
  }

  @Test func `refuses what the other tasks refuse`() throws {
    Tasks.register(PointsTask.self)
    var file = try recipe()
    guard case .object(let members) = file.recipe else { return }
    func code(_ name: String, _ value: JSONValue?) -> CorpusError.Code? {
      file.recipe = .object(members.merging([name: value ?? .null]) { $1 }.filter { $0.value != .null })
      do {
        _ = try Tasks.task(of: file, path: "recipe", datasets: datasets)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code("steps", .number(20)) == nil)
    #expect(code("steps", .number(0)) == .invalidRecipe)
    #expect(code("steps", nil) == .invalidRecipe)
    #expect(code("stepz", .number(1)) == .invalidRecipe)
    #expect(code("sha256", .string("00")) == .differentDataset)
  }
}
