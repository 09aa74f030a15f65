import ReleasedLayout
import Corpus
import Foundation
import Testing

@Suite struct ReleasedLayoutTests {
  @Test func `keys of epochs count the steps within them from one`() {
    let cases: [(step: Int, text: String)] = [
      (0, "ep000_it00000.pt"), (1, "ep000_it00001.pt"), (468, "ep000_it00468.pt"), (469, "ep001_it00001.pt"),
      (11_700, "ep024_it00468.pt"), (468 * 1000 + 1, "ep1000_it00001.pt"),
    ]
    for (step, text) in cases {
      let moment = ReleasedMoment(step: step, stepsPerEpoch: 468)
      #expect(moment.text == text)
      #expect(ReleasedMoment(text, hasEpochs: true) == moment)
      #expect(moment.step(stepsPerEpoch: 468) == Int32(step))
    }
  }

  @Test(arguments: [1, 2, 7])
  func `every step has one key`(stepsPerEpoch: Int) {
    var texts: Set<String> = []
    for step in 0..<50 {
      let moment = ReleasedMoment(step: step, stepsPerEpoch: stepsPerEpoch)
      #expect(moment.step(stepsPerEpoch: stepsPerEpoch) == Int32(step))
      #expect(texts.insert(moment.text).inserted)
    }
  }

  @Test func `keys without epochs`() {
    for (step, text) in [(0, "it00000.pt"), (499, "it00499.pt"), (123_456, "it123456.pt")] {
      let moment = ReleasedMoment(step: step, stepsPerEpoch: nil)
      #expect(moment.text == text)
      #expect(ReleasedMoment(text, hasEpochs: false) == moment)
      #expect(moment.step(stepsPerEpoch: 0) == Int32(step))
    }
  }

  @Test(arguments: [
    "", ".pt", "it.pt", "it00001", "ep_it.pt", "ep000_it00001", "ep000it00001.pt", "it-0001.pt",
    "ep000_it00001.pt_arch",
    "ep000_it00001_it2.pt", "ep00x_it00001.pt", "ep99999999999999999999_it00000.pt",
  ])
  func `what is no key`(text: String) {
    #expect(ReleasedMoment(text, hasEpochs: true) == nil)
    #expect(ReleasedMoment(text, hasEpochs: false) == nil || text == "it.pt")
  }

  @Test func `too many steps are no number`() {
    #expect(ReleasedMoment("ep999999999_it99999.pt", hasEpochs: true)?.step(stepsPerEpoch: 468) == nil)
    #expect(ReleasedMoment("ep999999999999999999_it0.pt", hasEpochs: true)?.step(stepsPerEpoch: 468) == nil)
  }

  private func parse(_ text: String) throws -> [String: [String: [String: Double]]] {
    try ReleasedRecordParser.records(in: Array(text.utf8)).mapValues(\.checkpoints)
  }

  @Test func `runs.json of one run and of several`() throws {
    let one =
      #"{"checkpoints": {"1/a": {"x": 1.5, "y": -2e-3}, "1/b": {}}, "metadata": {"z": [1, [], {"q": "s"}]}}"#
    let record = ["1/a": ["x": 1.5, "y": -0.002], "1/b": [:]]
    #expect(try parse(one) == ["": record])
    #expect(try parse("{\"1\": \(one),\n \"2\":\t\(one)}\n") == ["1": record, "2": record])
    #expect(try parse("{}") == [:])
  }

  @Test func `Python's numbers`() throws {
    let found = try parse(#"{"checkpoints": {"k": {"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e-05}}}"#)[
      ""]?["k"]
    #expect(found?["a"]?.isNaN == true)
    #expect(found?["b"] == .infinity && found?["c"] == -.infinity && found?["d"] == 1e-5)
  }

  @Test func `no beginning of a text passes for the whole`() throws {
    let text = #"{"1": {"checkpoints": {"1/a": {"x": 1.5}}, "metadata": {"z": [1, 2, "s"]}}}"#
    _ = try parse(text)
    for length in 0..<text.utf8.count {
      #expect(throws: ReleasedRecordParser.Failure.self) { try parse(String(text.prefix(length))) }
    }
    for bad in [
      "[]", "null", text + "x", #"{"checkpoints": {"k": {"x": null}}}"#,
      #"{"checkpoints": {"k": {"x": "1"}}}"#,
      #"{"1": {"metadata": {}}}"#, #"{"checkpoints": {"k": 3}}"#, "{\"a\\n\": {}}",
    ] {
      #expect(throws: ReleasedRecordParser.Failure.self, "\(bad)") { try parse(bad) }
    }
  }

  @Test func `numbers as Python writes them`() {
    let value = PythonJSON.object([
      "b": .list([1, .nan, .infinity, -.infinity, 1e-5, 0.1]),
      "a": .object(["x": .number(2), "e": .list([])]),
      "c": .object([:]),
    ])
    #expect(
      value.text() == """
        {
          "a": {
            "e": [],
            "x": 2.0
          },
          "b": [
            1.0,
            NaN,
            Infinity,
            -Infinity,
            1e-05,
            0.1
          ],
          "c": {}
        }
        """)
  }
}
