import Corpus
import Foundation
import Testing

/// What is said of JSON that is not as it should be.
@Suite struct JSONProblemTests {
  private struct Part: Codable {
    var size: Int
    var codec: Codec?
    var small: Int8?
    var rate: Double?
    var names: [String: String]?
    var isOn: Bool?
    var parts: [Part]?
  }

  @Test(arguments: [
    ("{\"size\": 1", "it is no JSON"), ("", "it is no JSON"), ("[1]", "it should be an object"),
    ("{}", "`size` is missing"), ("{\"size\": null}", "`size` should be a whole number"),
    ("{\"size\": \"1\"}", "`size` should be a whole number"), ("{\"size\": 1.5}", "`size` cannot be 1.5"),
    ("{\"size\": 1, \"small\": 300}", "`small` cannot be 300"),
    ("{\"size\": 1, \"codec\": \"zip\"}", "`codec` cannot be zip"),
    ("{\"size\": 1, \"codec\": 3}", "`codec` should be a text"),
    ("{\"size\": 1, \"rate\": []}", "`rate` should be a number"),
    ("{\"size\": 1, \"names\": [1]}", "`names` should be an object"),
    ("{\"size\": 1, \"isOn\": 1}", "`isOn` should be true or false"),
    ("{\"size\": 1, \"parts\": {}}", "`parts` should be a list"),
    ("{\"size\": 1, \"parts\": [{\"size\": 1}, {\"rate\": 2}]}", "`parts[1].size` is missing"),
    ("{\"size\": 1, \"parts\": [{\"size\": 1.5}]}", "one of its numbers cannot be what it is"),
  ])
  func `a problem is told by its place and what should be there`(text: String, says: String) {
    let problem = #expect(throws: JSONProblem.self) {
      try CanonicalJSON.decode(Part.self, from: Data(text.utf8))
    }
    #expect(problem?.description == says && problem?.refusal == nil)
  }

  @Test func `a number that JSON lacks is named by its place`() {
    let error = #expect(throws: CorpusError.self) {
      try CanonicalJSON.string(Part(size: 1, parts: [Part(size: 2, rate: .infinity)]))
    }
    #expect(error?.message.contains("`parts[0].rate` is inf") == true, "\(String(describing: error))")
    #expect(error?.cause == nil)
  }
}
