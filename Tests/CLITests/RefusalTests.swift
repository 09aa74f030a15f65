import Foundation
import TestSupport
import Testing

/// Files of JSON that are not as they should be are refused in sentences, without what decoders say of Swift's types.
@Suite(.temporaryDirectories) struct RefusalTests {
  private let fixture = CommandFixture()
  private let config: String

  init() throws {
    config = fixture.temporary.path + "/config.json"
    try fixture.generated("0..<4")
    try """
    {"model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
     "training": {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 2, "augmentation": "canonical",
                  "evaluate_every": 0}}
    """.write(toFile: config, atomically: true, encoding: .utf8)
  }

  /// A change of a JSON file, and what is said of it.
  struct Change: CustomTestStringConvertible, Sendable {
    let old: String
    let new: String
    let says: String

    var testDescription: String { "\(old) -> \(new)" }
  }

  private static let inside = [
    "DecodingError", "EncodingError", "keyNotFound", "typeMismatch", "valueNotFound", "dataCorrupted",
    "codingPath",
    "CodingKey", "Swift", "Foundation", "NSCocoa", "Context(", "Optional(", "Dictionary<", "Array<",
    "Cannot initialize",
    "debugDescription", "Error Domain", "Traceback",
  ]

  private func expect(
    _ result: Command.Result, says: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(result.status == 1 && result.error.contains(says), "\(result)", sourceLocation: sourceLocation)
    for word in Self.inside {
      #expect(!result.error.contains(word), "\(word): \(result.error)", sourceLocation: sourceLocation)
    }
  }

  private func changed(_ path: String, _ change: Change, _ body: () throws -> Void) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let range = try #require(text.range(of: change.old), "\(text)")
    try text.replacingCharacters(in: range, with: change.new).write(
      toFile: path, atomically: true, encoding: .utf8)
    try body()
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  @Test func `the manifest of a corpus`() throws {
    for change in [
      Change(old: "\"metrics\"", new: "\"metric\"", says: "`metrics` is missing"),
      Change(
        old: "\"generator_version\" : ", new: "\"generator_version\" : \"x\" , \"y\" : ",
        says: "`generator_version` should be a whole number"),
      Change(old: "\"delta\"", new: "\"zip\"", says: "`codec` cannot be zip"),
      Change(old: "\"name\"", new: "\"nome\"", says: "is missing"),
      Change(
        old: "\"tensors\" : [", new: "\"tensors\" : [3, ",
        says: "`architecture.tensors[0]` should be an object"),
      Change(
        old: "\"test_fraction\" : 0.05", new: "\"test_fraction\" : 5",
        says: "`split.test_fraction` cannot be 5"),
      Change(old: "\"recipe\" : {", new: "\"recipe\" : {,", says: "is damaged"),
    ] {
      try changed(fixture.path + "/corpus.json", change) {
        expect(try Command.run("status", fixture.path), says: change.says)
      }
    }
  }

  @Test func `a recipe file`() throws {
    let path = fixture.temporary.path + "/recipe.json"
    try Command.run("recipe", fixture.path).output.write(toFile: path, atomically: true, encoding: .utf8)
    for change in [
      Change(old: "{", new: "[", says: "it is no JSON"),
      Change(old: "\"iterations\"", new: "\"iteration\"", says: "`iterations` is missing"),
      Change(old: "\"iterations\" : 6", new: "\"iterations\" : 6.5", says: "`iterations` cannot be 6.5"),
      Change(
        old: "\"iterations\" : 6", new: "\"iterations\" : null", says: "`iterations` should be a whole number"
      ),
      Change(old: "\"codec\" : \"delta\"", new: "\"codec\" : \"zip\"", says: "`codec` cannot be zip"),
    ] {
      try changed(path, change) {
        expect(
          try Command.run(
            "generate", "--recipe", path, "--runs", "0", "--out", fixture.temporary.path + "/other"),
          says: change.says)
      }
    }
  }

  @Test func `a configuration, a model and its training`() throws {
    let model = fixture.temporary.path + "/model"
    for change in [
      Change(
        old: "\"width\": 16", new: "\"width\": \"wide\"", says: "`model.width` should be a whole number"),
      Change(old: "\"width\": 16,", new: "", says: "`model.width` is missing"),
      Change(old: "\"model\": {", new: "\"model\": {{", says: "it is no JSON"),
      Change(
        old: "\"heads\": 2", new: "\"heads\": 2, \"tokens\": \"words\"",
        says: "`model.tokens` cannot be words"),
    ] {
      try changed(config, change) {
        expect(try Command.run("train", fixture.path, "--out", model, "--config", config), says: change.says)
      }
    }
    let trained = try Command.run("train", fixture.path, "--out", model, "--config", config)
    #expect(trained.status == 0, "\(trained)")
    for change in [
      Change(old: "\"step\" : 2", new: "\"step\" : \"two\"", says: "model.json is damaged"),
      Change(old: "\"scale\"", new: "\"scales\"", says: "model.json is damaged"),
      Change(old: "{", new: "", says: "model.json"),
    ] {
      try changed(model + "/model.json", change) {
        expect(try Command.run("prompt", model, "--target", "30"), says: change.says)
      }
    }
  }

  /// libdispatch would end the process.
  @Test(arguments: ["4", "5", "15"])
  func `too few files that may be open are an error`(limit: String) throws {
    let result = try Command.run("verify", "/nowhere", shell: "ulimit -n \(limit);")
    #expect(result.status == 1 && result.error.contains("ulimit -n"), "\(result)")
  }
}
