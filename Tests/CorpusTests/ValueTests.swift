import Corpus
import Foundation
import Testing

@Suite struct ValueTests {
  @Test func `finds tensors in a parameter vector`() {
    let architecture = Architecture(
      name: "mlp", tensors: [.init("a", [2, 3]), .init("b", []), .init("c", [4])])
    #expect(architecture.parameterCount == 11)
    #expect(architecture.range(of: "a") == 0..<6)
    #expect(architecture.range(of: "b") == 6..<7)
    #expect(architecture.range(of: "c") == 7..<11)
    #expect(architecture.range(of: "d") == nil)
  }

  @Test(arguments: [
    ([0, 1, -10] as [Float], RunStatus.ok), ([10.001], .outOfRange), ([-11, 2], .outOfRange),
    ([.nan], .nonfinite), ([20, .infinity], .nonfinite), ([-.infinity], .nonfinite),
    ([.greatestFiniteMagnitude], .outOfRange), ([], .ok),
  ])
  func `judges runs by their parameters`(parameters: [Float], expected: RunStatus) {
    #expect(RunStatus(of: parameters) == expected)
    #expect(RunStatus(of: parameters, limit: nil) == (expected == .outOfRange ? .ok : expected))
  }

  @Test(
    arguments: [
      ("0..<500", 0..<500), ("7", 7..<8), ("3...5", 3..<6), ("0...0", 0..<1),
      ("4611686018427387903", 4_611_686_018_427_387_903..<4_611_686_018_427_387_904),
    ] as [(String, Range<Int64>)])
  func `reads ranges of runs`(text: String, expected: Range<Int64>) throws {
    #expect(try SeedRange(parsing: text).seeds == expected)
  }

  @Test(arguments: [
    "9007199254740993", "-9007199254740993", "18446744073709551615", "1000000000000000000000000000001",
    "[0, {\"a\": [9007199254740993]}]", "{\"seed\": 9223372036854775807}",
  ])
  func `integers that no double is are refused in recipes`(text: String) throws {
    let decode = { try CanonicalJSON.decode(JSONValue.self, from: Data(text.utf8)) }
    #expect {
      _ = try decode()
    } throws: {
      ($0 as? JSONProblem)?.refusal?.code == .invalidRecipe && "\($0)".contains("exactly")
    }
    let file = "{\"format\": \"checkpoint-corpus recipe\", \"version\": 1, \"recipe\": \(text)}"
    #expect {
      _ = try RecipeFile(json: Data(file.utf8), path: "r.json")
    } throws: {
      ($0 as? CorpusError)?.code == .invalidRecipe && "\($0)".contains("exactly")
    }
  }

  @Test(arguments: [
    "9007199254740992", "-9007199254740992", "9007199254740994", "9223372036854775808", "1e+30", "1.5e+300",
    "0.1",
    "[[1, [2]], [], {\"a\": null}]",
  ])
  func `other numbers are kept as they are`(text: String) throws {
    let value = try CanonicalJSON.decode(JSONValue.self, from: Data(text.utf8))
    #expect(try CanonicalJSON.value(value) == value)
    let again = try JSONSerialization.jsonObject(
      with: Data(value.description.utf8), options: .fragmentsAllowed)
    let given = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    #expect((again as? NSObject) == (given as? NSObject))
  }

  @Test(arguments: [
    "", "a", "0..", "5..<5", "5..<4", "-1..<4", "1..<2..<3", "0..<", "..<4", "1.5", "0...-1", "0 ..<4",
    "4611686018427387904", "99999999999999999999",
  ])
  func `refuses what is no range of runs`(text: String) {
    #expect { try SeedRange(parsing: text) } throws: { ($0 as? CorpusError)?.code == .malformedRange }
  }

  @Test(arguments: [
    (10_728, 500, 500), (56_840, 2_050, 2_050), (50_026, 2_050, 2_050), (40, 2_050, 2), (1, 2_050, 1),
    (0, 2_050, 0),
  ])
  func `holds out as many runs as published`(runs: Int, limit: Int, expected: Int) {
    #expect(SplitRule(testLimit: limit).testCount(runs: runs) == expected)
  }

  @Test func `writes JSON in one spelling`() throws {
    let value = try CanonicalJSON.decode(
      JSONValue.self, from: Data(#"{"b": [1, 2.5, true, null], "a": "x/y"}"#.utf8))
    #expect(value.description == #"{"a":"x/y","b":[1,2.5,true,null]}"#)
    #expect(value["a"] == .string("x/y"))
    #expect(value["c"] == nil)
  }

  /// `hashlib.sha256` of the bytes that ContentHash documents, by Python.
  @Test func `hashes runs as documented`() throws {
    let run = Run(seed: 3, iterations: [0, 5], metrics: [[1, 2]], parameters: [0.5, -1, 0.25, 4])
    #expect(
      try ContentHash(of: run).description
        == "cb551dc716360b35a922ad16227dd6141b81c653d7cf05aa9cdfa65ab8a63bad")
  }

  @Test func `hashes as SHA-256 does`() throws {
    var hash = try SHA256()
    hash.update(Array("ab".utf8))
    hash.update(UInt8(ascii: "c"))
    #expect(
      ContentHash(bytes: hash.finish()).description
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
