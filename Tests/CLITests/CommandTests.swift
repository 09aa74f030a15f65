import TestSupport
import Corpus
import Foundation
import ShardStore
import Testing

@Suite(.temporaryDirectories) struct CommandTests {
  private let fixture = CommandFixture()

  @Test func `goes from the first gradient to a SQL answer`() throws {
    let made = try fixture.generated("0..<5")
    #expect(made.status == 0 && made.output.contains("5 made now") && made.error.contains("5/5 runs"))

    let status = try Command.run("status", fixture.path)
    #expect(status.status == 0 && status.output.contains("5 single-run delta"))
    #expect(status.output.contains("checkpoints   20"))

    let csv = try Command.run(
      "query", fixture.path, "SELECT run, count(*) AS n, 'a,\"b' AS t FROM checkpoints GROUP BY run LIMIT 2",
      "--format", "csv")
    #expect(csv.output == "run,n,t\n0,4,\"a,\"\"b\"\n1,4,\"a,\"\"b\"\n")
    let json = try Command.run(
      "query", fixture.path, "SELECT run, NULL AS x, 1.5 AS y FROM runs ORDER BY run LIMIT 1", "--format",
      "json")
    #expect(json.output == "[\n  {\"run\": 0, \"x\": null, \"y\": 1.5}\n]\n")
    let table = try Command.run(
      "query", fixture.path, "SELECT run, 'text' AS t FROM runs ORDER BY run LIMIT 2")
    #expect(table.output == "run  t\n───  ────\n  0  text\n  1  text\n")
    let empty = try Command.run("query", fixture.path, "SELECT run FROM runs WHERE 0", "--format", "json")
    #expect(empty.output == "[]\n")

    let shown = try Command.run("show", fixture.path, "3")
    #expect(
      shown.status == 0 && shown.output.contains("train_return") && shown.output.contains("learning_rate"))

    #expect(
      try Command.run("verify", fixture.path).output
        == "5 runs, 20 checkpoints in 5 shards: all as recorded\n")
    #expect(try Command.run("compact", fixture.path).status == 0)
    #expect(
      try Command.run("verify", fixture.path).output
        == "5 runs, 20 checkpoints in 1 shard: all as recorded\n")
    let before = try fixture.hashes()
    #expect(try Command.run("repack", fixture.path, "--codec", "zstd").status == 0)
    #expect(try Command.run("status", fixture.path).output.contains("1 sealed zstd"))
    #expect(try Command.run("index", "--rebuild", fixture.path).status == 0)
    #expect(try fixture.hashes() == before && before.count > 5 * 64)
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `makes only what is missing`() throws {
    try fixture.generated("0..<3")
    let more = try fixture.generated("1..<5")
    #expect(more.output.contains("2 made now") && more.output.contains("2 there before"))
    _ = try Command.run("compact", fixture.path)
    let again = try fixture.generated("0...4")
    #expect(again.status == 0 && !again.output.contains("made now"))
    #expect(try fixture.query("SELECT count(*) FROM runs") == "count(*)\n5\n")
  }

  @Test func `gives the same runs with any number of workers and on every path`() throws {
    var hashes: Set<String> = []
    for (workers, kernels) in [("1", "avx2"), ("2", "avx2"), ("3", "portable")] {
      let fixture = CommandFixture()
      let command = fixture.generate("0..<4", CommandFixture.tiny, ["--workers", workers])
      #expect(try run(command, kernels: kernels).status == 0)
      hashes.insert(try fixture.hashes())
    }
    #expect(hashes.count == 1)
  }

  @Test func `streams pairs with the kernels that the environment asks for`() throws {
    try fixture.generated("0..<4")
    func stream(_ kernels: String) throws -> Command.Result {
      try run(Command(["stream", fixture.path, "--split", "all", "--count", "2"]), kernels: kernels)
    }
    let refused = try stream("avx1024")
    #expect(refused.status == 1 && refused.error.contains("no kernels named `avx1024`"), "\(refused)")
    let portable = try stream("portable")
    #expect(try portable.status == 0 && portable.output == stream("avx2").output)
  }

  private func run(_ command: Command, kernels: String) throws -> Command.Result {
    command.process.environment = ProcessInfo.processInfo.environment.merging(
      ["CORPUS_KERNELS": kernels], uniquingKeysWith: { $1 })
    try command.start()
    return command.finish()
  }

  @Test func `says so when its output cannot be written`() throws {
    try fixture.generated("0")
    let result = try Command.run("status", fixture.path, shell: "exec > /dev/full;")
    #expect(result.status == 1 && result.error.contains("not complete"))
  }

  @Test func `makes stored runs again, bit for bit`() throws {
    try fixture.generated("0..<3")
    _ = try Command.run("compact", fixture.path)
    try fixture.generated("0..<5")
    let all = try Command.run("verify", fixture.path, "--runs", "0..<5")
    #expect(all.status == 0 && all.output.contains("5 of 5 runs came out again"))
    #expect(try Command.run("verify", fixture.path, "--replay", "2").output.contains("2 of 2 runs"))
    let unknown = try Command.run("verify", fixture.path, "--runs", "3..<7")
    #expect(unknown.status == 1 && unknown.error.contains("there is no run 5"))
  }

  @Test func `finds a run that its seed does not make`() throws {
    try fixture.generated("0")
    let path = fixture.path + "/corpus.json"
    let corpus = try CorpusDirectory(opening: fixture.path)
    let file = corpus.absolute("runs/000/000000.h5")
    // A run that is whole, has a true hash, and was made by somebody else.
    let shard = try ShardReader(opening: file)
    var decoder = try RunDecoder(header: shard.header)
    let run = try decoder.run(at: 0, in: shard)
    var parameters = run.parameters
    parameters[1] += 1
    let forged = Run(seed: 0, iterations: run.iterations, metrics: run.metrics, parameters: parameters)
    var encoder = try RunEncoder(header: shard.header)
    let encoded = try encoder.encode(forged)
    var writer = try ShardWriter(
      path: file, header: shard.header, counts: [forged.count], bytes: encoded.compressedBytes)
    try writer.append(encoded)
    try writer.finish()
    #expect(try Command.run("index", "--rebuild", fixture.path).status == 0)
    #expect(try Command.run("verify", fixture.path).status == 0)
    let replayed = try Command.run("verify", fixture.path, "--runs", "0")
    #expect(
      replayed.status == 1 && replayed.error.contains("run 0 in") && replayed.error.contains("comes out as"))
    // A task of somebody else's cannot be replayed at all.
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacing("\"task\" : \"cartpole\"", with: "\"task\" : \"chess\"").write(
      toFile: path, atomically: true, encoding: .utf8)
    let foreign = try Command.run("verify", fixture.path, "--replay", "1")
    #expect(foreign.status == 1 && foreign.error.contains("cannot be made again"))
  }

  @Test func `stays quiet when asked`() throws {
    let result = try fixture.generated("0..<2", CommandFixture.tiny, ["--quiet"])
    #expect(result.status == 0 && result.output.isEmpty && result.error.isEmpty)
    for command in [["verify", "--quiet"], ["index", "--quiet"], ["compact", "--quiet"]] {
      let result = Command(command + [fixture.path])
      try result.start()
      let finished = result.finish()
      #expect(finished.status == 0 && finished.output.isEmpty && finished.error.isEmpty)
    }
  }

  @Test(arguments: [
    ["generate"], ["generate", "cartpole"], ["generate", "mnist"], ["generate", "recipe"], ["repair"],
    ["recipe"], ["status"], ["query"], ["show"],
    ["verify"], ["index"],
    ["compact"],
    ["repack"], [],
  ])
  func `explains itself with an example`(command: [String]) throws {
    let help = Command(command + ["--help"])
    try help.start()
    let result = help.finish()
    #expect(result.status == 0 && result.output.contains("EXAMPLE") && result.output.contains("corpus "))
  }

  @Test func `trains on images of its own drawing`() throws {
    let command = Command([
      "generate", "mnist", "--dataset", "synthetic", "--epochs", "1", "--checkpoints", "3", "--runs", "0..<2",
      "--out", fixture.path,
    ])
    try command.start()
    let made = command.finish()
    #expect(made.status == 0 && made.output.contains("2 made now"), "\(made)")
    let errors = try fixture.query("SELECT run, iteration FROM checkpoints WHERE test_error < 50")
    #expect(errors.contains("0,468") && errors.contains("1,468"))
    let manifest = try String(contentsOfFile: fixture.path + "/corpus.json", encoding: .utf8)
    #expect(manifest.contains("\"synthetic-digits\"") && manifest.contains("\"test_limit\" : 500"))
  }
}
