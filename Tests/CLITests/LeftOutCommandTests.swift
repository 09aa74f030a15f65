import CorpusStore
import Corpus
import Foundation
import MetricIndex
import ShardStore
import TestSupport
import Testing

/// What commands leave out, what they say of it, and the files that they write without parameters.
@Suite(.temporaryDirectories) struct LeftOutCommandTests {
  private let temporary = TemporaryDirectory()
  private var path: String { temporary.path + "/corpus" }

  /// Six runs, none of which is measured at first; run 2 is out of range, and run 3 has an infinite return.
  init() throws {
    let directory = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    let writer = try CorpusWriter(directory, index: MetricIndex(openingOrCreating: directory))
    var encoder = try RunEncoder(
      header: ShardHeader(manifest: directory.manifest, codec: .delta, checkpoints: 23))
    for seed in Int64(0)..<6 {
      let run = TestCorpus.run(seed)
      _ = try writer.store(seed, with: &encoder) { () throws(CorpusError) in
        var metrics = run.metrics
        if seed == 3 { metrics[1][5] = .infinity }
        return Run(
          seed: seed, iterations: run.iterations, metrics: metrics,
          parameters: seed == 2 ? run.parameters.map { 100 * $0 } : run.parameters)
      }
    }
    try writer.finish()
  }

  private func run(_ arguments: String...) throws -> Command.Result {
    let result = try Command.run(arguments)
    #expect(result.status == 0, "\(result)")
    return result
  }

  @Test func `streams say what they leave out, and take it by the flags that they name`() throws {
    let usual = try run("stream", path, "--split", "all", "--count", "2", "--batch-size", "2")
    #expect(
      usual.error.contains(
        "left out: 1 run with parameters above 10 (--include-bad takes them), 6 checkpoints without a finite "
          + "train_return (--include-unmeasured takes them)"), "\(usual)")
    let whole = try run(
      "stream", path, "--split", "all", "--count", "2", "--batch-size", "2", "--include-bad",
      "--include-unmeasured")
    #expect(!whole.error.contains("left out") && whole.error.contains("6 runs"), "\(whole)")
    let file = temporary.path + "/pairs.npz"
    let pairs = try run("export", path, "--format", "npz", "--pairs", "4", "--out", file)
    #expect(pairs.error.contains("(--include-unmeasured takes them)"), "\(pairs)")
    let config = temporary.path + "/config.json"
    try """
    {"model": {"width": 16, "layers": 1, "heads": 2, "frequencies": 8, "diffusion_steps": 50},
     "training": {"batch": 8, "learning_rate": 0.001, "warmup": 2, "steps": 4, "augmentation": "none"}}
    """.write(toFile: config, atomically: true, encoding: .utf8)
    let trained = try run("train", path, "--out", temporary.path + "/model", "--config", config)
    #expect(
      trained.error.contains(
        "left out: 1 run with parameters above 10 (--include-bad takes them), 4 checkpoints without a finite "
          + "train_return"), "\(trained)")
    let other = try run(
      "train", path, "--out", temporary.path + "/other", "--config", config, "--include-bad")
    #expect(other.error.contains("left out: 5 checkpoints"), "\(other)")
    #expect(
      try run("train", path, "--out", temporary.path + "/other", "--resume").error.contains("5 checkpoints"))
  }

  @Test func `metrics go to CSV with their exact values`() throws {
    let file = temporary.path + "/metrics.csv"
    let result = try run("export", path, "--format", "csv", "--runs", "1...3", "--out", file)
    #expect(result.output.contains("the metrics of 46 checkpoints of 2 runs"), "\(result)")
    #expect(result.output.contains("1 run with another status than ok left out (--include-bad takes them)"))
    let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
    #expect(lines[0] == "run,step,iteration,split,status,test_loss,train_return" && lines.count == 47)
    for (number, line) in lines.dropFirst().enumerated() {
      let (seed, step) = (number < 23 ? 1 : 3, number % 23)
      let stored = TestCorpus.run(Int64(seed))
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      #expect(fields.prefix(5).elementsEqual(["\(seed)", "\(step)", "\(3 * step)", "train", "ok"]))
      #expect(Float(fields[5]) == stored.metrics[0][step])
      let expected = seed == 3 && step == 5 ? .infinity : stored.metrics[1][step]
      #expect(step == 0 ? fields[6].isEmpty : Float(fields[6]) == expected, "\(line)")
    }
    let again = try Command.run("export", path, "--format", "csv", "--out", file)
    #expect(again.status == 1 && again.error.contains("is there already"))
    let all = temporary.path + "/all.csv"
    _ = try run("export", path, "--format", "csv", "--include-bad", "--limit", "50", "--out", all)
    #expect(try String(contentsOfFile: all, encoding: .utf8).split(separator: "\n").count == 51)
  }

  @Test func `Parquet is refused with the line that writes it`() throws {
    let file = temporary.path + "/metrics.parquet"
    let result = try Command.run(
      "export", path, "--format", "parquet", "--where", "split = 'train'", "--out", file)
    #expect(result.status == 1 && !FileManager.default.fileExists(atPath: file))
    #expect(
      result.error.contains(
        #"Corpus('\#(path)').to_parquet('\#(file)', where='(split = \'train\') AND status = \'ok\'')"#),
      "\(result.error)")
  }
}
