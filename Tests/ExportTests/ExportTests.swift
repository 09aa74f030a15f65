import Platform
import CorpusStore
import Maintenance
import ArrayFiles
import ReleasedLayout
import Export
import Corpus
import Foundation
import MetricIndex
import PairSampling
import PairStream
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

@Suite(.temporaryDirectories) struct ExportTests {
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
    try writer.finish()
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
      let reader = CorpusReader(index)
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
    #expect(try CheckpointSelection(index).selectedRuns.map(\.run) == [0, 1, 2, 4])
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
    _ = try MetricIndex(openingOrCreating: directory).synchronize(forgetsMissing: true)
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

@Suite(.temporaryDirectories) struct PairExportTests {
  private let temporary = TemporaryDirectory()
  private var out: String { temporary.path + "/out" }

  private func stream() throws -> PairStream {
    let directory = try CorpusDirectory(
      openingOrCreating: temporary.path + "/corpus", manifest: TestCorpus.manifest())
    let writer = try CorpusWriter(directory, index: MetricIndex(openingOrCreating: directory))
    var encoder = try RunEncoder(
      header: ShardHeader(manifest: directory.manifest, codec: .delta, checkpoints: 23))
    for seed in Int64(0)..<5 { _ = try writer.store(seed, with: &encoder) { TestCorpus.run(seed) } }
    try writer.finish()
    var options = PairStreamOptions()
    options.batchSize = 4
    options.itemsPerEpoch = 40
    options.augmentation = .none
    options.scale = .factor(2)
    options.seed = 3
    options.metric = "test_loss"
    return try PairStream(directory, options: options)
  }

  /// The numbers of their bytes would overflow.
  @Test(arguments: [Int.max, 1 << 58], [ArrayFormat.safetensors, .npz, .hdf5])
  func `more pairs than a file can hold are refused`(count: Int, format: ArrayFormat) throws {
    let stream = try stream()
    let error = #expect(throws: CorpusError.self) { try PairExport(stream).write(count, format, to: out) }
    #expect(error?.code == .invalidArgument && !Files.exists(out))
  }

  @Test(arguments: [1, 4, 5, 12, 45])
  func `as many pairs as asked for, whatever the batches`(count: Int) throws {
    try PairExport(stream()).write(count, .safetensors, to: out)
    let file = try Safetensors(out)
    let runs = file.values("run", as: Int64.self)
    let steps = zip(file.values("start_step", as: Int64.self), file.values("target_step", as: Int64.self))
    #expect(runs.count == count)
    var start: [Float] = []
    var target: [Float] = []
    var losses: [[Float]] = [[], []]
    for (run, steps) in zip(runs, steps) {
      let stored = TestCorpus.run(run)
      start += stored.parameters[(7 * Int(steps.0))..<(7 * Int(steps.0) + 7)].map { 2 * $0 }
      target += stored.parameters[(7 * Int(steps.1))..<(7 * Int(steps.1) + 7)].map { 2 * $0 }
      losses[0].append(stored.metrics[0][Int(steps.0)])
      losses[1].append(stored.metrics[0][Int(steps.1)])
    }
    #expect(file.values("start", as: Float.self) == start)
    #expect(file.values("target", as: Float.self) == target)
    #expect(file.values("start_metric", as: Float.self) == losses[0])
    #expect(file.values("target_metric", as: Float.self) == losses[1])
    #expect(file.metadata("metric") == .string("test_loss") && file.metadata("seed") == .string("3"))
    #expect(file.metadata("scale") == .string("2.0") && file.metadata("augmentation") == .string("none"))
    #expect(file.metadata("format") == .string("checkpoint-corpus pairs"))
  }

  @Test(arguments: ArrayFormat.allCases)
  func `a failure among them, or a request to stop, leaves nothing`(format: ArrayFormat) throws {
    let stream = try stream()
    let cancellation = Cancellation()
    let error = #expect(throws: CorpusError.self) {
      try PairExport(stream).write(
        8, format, to: out, cancellation: cancellation, progress: { _ in cancellation.cancel() })
    }
    #expect(error?.code == .interrupted)
    stream.cancel()
    #expect(throws: CorpusError.self) { try PairExport(stream).write(8, format, to: out) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == ["corpus"])
  }

  @Test(arguments: ArrayFormat.allCases)
  func `all formats hold pairs, and none replaces a file`(format: ArrayFormat) throws {
    try PairExport(stream()).write(4, format, to: out)
    #expect(try Files.size(out) > 4 * 7 * 2 * 4)
    let error = #expect(throws: CorpusError.self) { try PairExport(stream()).write(4, format, to: out) }
    #expect(error?.code == .alreadyExists)
  }
}
