import Corpus
import Foundation
import Interchange
import MetricIndex
import ShardStore
import TestSupport
import Testing

/// Reads safetensors by the description of the format.
private struct Safetensors {
  private let header: JSONValue
  private let data: [UInt8]

  init(_ path: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let length = bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
    header = try CanonicalJSON.decode(JSONValue.self, from: Data(bytes[8..<(8 + length)]))
    data = Array(bytes[(8 + length)...])
  }

  func values<Value: BitwiseCopyable>(_ name: String, as type: Value.Type) -> [Value] {
    guard case .array(let ends) = header[name]?["data_offsets"], case .number(let start) = ends[0],
      case .number(let end) = ends[1]
    else { return [] }
    return Array(data[Int(start)..<Int(end)]).withUnsafeBytes { Array($0.bindMemory(to: type)) }
  }

  func metadata(_ name: String) -> JSONValue? { header["__metadata__"]?[name] }
}

@Suite struct ExportTests {
  private let temporary = TemporaryDirectory()
  private var out: String { temporary.path + "/out" }

  /// Runs 0 to 4 of 7 parameters and 23 checkpoints, but 31 of run 3, which ends not finite.
  private func corpus(codec: Codec = .delta, compacted: Bool = true) throws -> IndexReader {
    let directory = try CorpusDirectory(
      openingOrCreating: temporary.path + "/corpus", manifest: TestCorpus.manifest(codec: codec))
    let index = try MetricIndex(openingOrCreating: directory)
    let writer = try CorpusWriter(directory, index: index)
    var encoder = try RunEncoder(
      header: ShardHeader(manifest: directory.manifest, codec: codec, checkpoints: 23))
    for seed in 0..<5 {
      let run = Self.run(Int64(seed))
      _ = try writer.store(run.seed, with: &encoder) { run }
      if seed == 2, compacted {
        _ = try Compaction(directory: directory).run { (file) throws(CorpusError) in try index.ingest([file])
        }
        _ = try index.synchronize()
      }
    }
    return try IndexReader(opening: directory)
  }

  private static func run(_ seed: Int64) -> Run {
    let run = TestCorpus.run(seed, checkpoints: seed == 3 ? 31 : 23)
    if seed != 3 { return run }
    return Run(
      seed: 3, iterations: run.iterations, metrics: run.metrics,
      parameters: run.parameters.dropLast() + [.nan])
  }

  @Test(arguments: Codec.allCases, [true, false])
  func `all of a corpus, whatever its codec and shards`(codec: Codec, compacted: Bool) throws {
    let index = try corpus(codec: codec, compacted: compacted)
    let selection = try CheckpointSelection(index, includesBad: true)
    #expect(selection.count == 4 * 23 + 31 && selection.badRuns == 0)
    try CheckpointExport(selection, of: index).write(.safetensors, to: out)
    let file = try Safetensors(out)
    let runs = (0..<5).map { Self.run($0) }
    #expect(
      file.values("parameters", as: UInt32.self) == runs.flatMap { $0.parameters.map(\.bitPattern) })
    #expect(
      file.values("run", as: Int64.self) == runs.flatMap { run in run.iterations.map { _ in run.seed } })
    #expect(file.values("step", as: Int64.self) == runs.flatMap { 0..<Int64($0.count) })
    #expect(file.values("iteration", as: Int64.self) == runs.flatMap { $0.iterations.map(Int64.init) })
    for (metric, name) in ["test_loss", "train_return"].enumerated() {
      #expect(
        file.values(name, as: UInt32.self) == runs.flatMap { $0.metrics[metric].map(\.bitPattern) })
    }
    #expect(file.metadata("task") == .string("made-up"))
  }

  @Test func `every choice of steps within a chunk`() throws {
    let index = try corpus()
    let run = Self.run(4)
    // All subsets of five neighbours, across the end of a chunk of 23 and 25 rows alike.
    for subset in 1..<32 {
      let steps = (0..<5).filter { subset >> $0 & 1 == 1 }.map { $0 * $0 }
      var reader = CheckpointReader(index)
      var found: [Float] = []
      var order: [Int] = []
      try reader.read(steps, of: 4) { rows in
        found += rows.parameters
        order += rows.steps
        #expect(rows.iterations == rows.steps.map { run.iterations[$0] })
      }
      #expect(order == steps)
      #expect(found == steps.flatMap { run.parameters[(7 * $0)..<(7 * $0 + 7)] })
    }
  }

  @Test func `bad runs are left out unless they are asked for`() throws {
    let index = try corpus()
    #expect(try CheckpointSelection(index).parts.map(\.run) == [0, 1, 2, 4])
    #expect(try CheckpointSelection(index).badRuns == 1)
    #expect(try CheckpointSelection.runs(index).runs == [0, 1, 2, 4])
    let error = #expect(throws: CorpusError.self) { try CheckpointSelection(index, where: "run = 3") }
    #expect(error?.code == .emptySelection && error?.remedy.contains("--include-bad") == true)
  }

  @Test(arguments: [1, 22, 23, 24, 46, 1000])
  func `a limit cuts in the midst of a run`(limit: Int) throws {
    let index = try corpus()
    let selection = try CheckpointSelection(index, limit: limit)
    #expect(selection.count == min(limit, 4 * 23))
    var steps: [String] = []
    try selection.forEachRun { run, all in steps += all.map { "\(run)/\($0)" } }
    let expected = [0, 1, 2, 4].flatMap { run in (0..<23).map { "\(run)/\($0)" } }
    #expect(steps == Array(expected.prefix(limit)))
  }

  @Test func `a run that vanishes meanwhile is an error`() throws {
    let index = try corpus(compacted: false)
    let selection = try CheckpointSelection(index)
    let directory = index.directory
    try Files.remove(directory.absolute(directory.runFile(seed: 4)))
    _ = try MetricIndex(openingOrCreating: directory).synchronize()
    let error = #expect(throws: CorpusError.self) {
      try CheckpointExport(selection, of: index).write(.npz, to: out)
    }
    #expect(error?.code == .indexStale)
    #expect(!Files.exists(out))
  }

  @Test func `a request to stop leaves nothing`() throws {
    let index = try corpus()
    let cancellation = Cancellation()
    for format in ArrayFormat.allCases {
      let error = #expect(throws: CorpusError.self) {
        try CheckpointExport(try CheckpointSelection(index), of: index).write(
          format, to: out, cancellation: cancellation, progress: { _ in cancellation.cancel() })
      }
      #expect(error?.code == .interrupted)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == ["corpus"])
  }

  @Test func `a corpus that the released layout has no names for`() throws {
    let index = try corpus()
    let error = #expect(throws: CorpusError.self) { try LMDBExport(index) }
    #expect(error?.code == .differentTask)
  }
}

@Suite struct PairExportTests {
  private let temporary = TemporaryDirectory()
  private var out: String { temporary.path + "/out" }

  /// Pairs `first` and following; every number tells which pair it is of.
  private func batch(_ first: Int, count: Int) -> PairBatch {
    let pairs = first..<(first + count)
    return PairBatch(
      start: pairs.flatMap { pair in (0..<7).map { Float(10 * pair + $0) } },
      target: pairs.flatMap { pair in (0..<7).map { -Float(10 * pair + $0) } },
      startMetric: pairs.map { Float($0) / 2 }, targetMetric: pairs.map { Float($0) / 4 },
      run: pairs.map { Int64($0) % 3 }, startStep: pairs.map(Int64.init),
      targetStep: pairs.map { Int64($0) + 5 })
  }

  @Test(arguments: [1, 4, 5, 12])
  func `as many pairs as asked for, whatever the batches`(count: Int) throws {
    let export = try PairExport(manifest: TestCorpus.manifest(), metric: "test_loss", metadata: ["seed": "3"])
    var first = 0
    try export.write(count, .safetensors, to: out) {
      defer { first += 4 }
      return batch(first, count: 4)
    }
    let file = try Safetensors(out)
    let expected = batch(0, count: count)
    #expect(file.values("start", as: Float.self) == expected.start)
    #expect(file.values("target", as: Float.self) == expected.target)
    #expect(file.values("start_metric", as: Float.self) == expected.startMetric)
    #expect(file.values("target_metric", as: Float.self) == expected.targetMetric)
    #expect(file.values("run", as: Int64.self) == expected.run)
    #expect(file.values("start_step", as: Int64.self) == expected.startStep)
    #expect(file.values("target_step", as: Int64.self) == expected.targetStep)
    #expect(file.metadata("metric") == .string("test_loss") && file.metadata("seed") == .string("3"))
    #expect(file.metadata("format") == .string("checkpoint-corpus pairs"))
  }

  @Test(arguments: ArrayFormat.allCases)
  func `too few pairs, or a failure among them, leave nothing`(format: ArrayFormat) throws {
    let export = try PairExport(manifest: TestCorpus.manifest(), metric: "test_loss")
    var batches = [batch(0, count: 4)]
    let error = #expect(throws: CorpusError.self) {
      try export.write(5, format, to: out) { batches.popLast() }
    }
    #expect(error?.code == .emptySelection && error?.message.contains("only 4 pairs, not 5") == true)
    let failure = CorpusError(.damagedShard, "x is damaged", remedy: "y")
    let other = #expect(throws: CorpusError.self) {
      try export.write(5, format, to: out) { () throws(CorpusError) in throw failure }
    }
    #expect(other == failure)
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == [])
  }

  @Test(arguments: ArrayFormat.allCases)
  func `all formats hold pairs`(format: ArrayFormat) throws {
    let export = try PairExport(manifest: TestCorpus.manifest(), metric: "test_loss")
    try export.write(4, format, to: out) { batch(0, count: 4) }
    #expect(try Files.size(out) > 4 * 7 * 2 * 4)
  }
}
