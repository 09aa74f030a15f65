import Platform
import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

/// Writes and reads shards in a directory of their own.
struct ShardFixture {
  let temporary = TemporaryDirectory()
  let corpus: CorpusDirectory

  init(codec: Codec = .delta) throws {
    corpus = try CorpusDirectory(
      openingOrCreating: temporary.path + "/corpus", manifest: TestCorpus.manifest(codec: codec))
  }

  /// Stores runs together in one file.
  func store(_ runs: [Run], as file: String, codec: Codec? = nil, checkpoints: Int = 23) throws {
    let header = ShardHeader(
      manifest: corpus.manifest, codec: codec ?? corpus.manifest.codec, checkpoints: checkpoints)
    var encoder = try RunEncoder(header: header)
    let encoded = try runs.map { try encoder.encode($0) }
    var writer = try ShardWriter(
      path: corpus.absolute(file), header: header, counts: runs.map(\.count),
      bytes: encoded.reduce(0) { $0 + $1.compressedBytes })
    for run in encoded { try writer.append(run) }
    try writer.finish()
  }

  /// Stores runs one a file.
  func storeSingly(_ seeds: some Sequence<Int64>) throws {
    for seed in seeds { try store([TestCorpus.run(seed)], as: corpus.runFile(seed: seed)) }
  }

  func read(_ file: String) throws -> [Run] {
    let shard = try ShardReader(opening: corpus.absolute(file))
    var decoder = try RunDecoder(header: shard.header)
    return try shard.runs.indices.map { try decoder.run(at: $0, in: shard) }
  }

  func bytes(_ file: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: corpus.absolute(file)))
  }

  func write(_ bytes: Data, to file: String) throws {
    try Files.createDirectory(Files.split(corpus.absolute(file)).directory)
    try bytes.write(to: URL(fileURLWithPath: corpus.absolute(file)))
  }
}

@Suite(.temporaryDirectories) struct ShardWriterTests {
  /// HDF5 1.10 looks for a chunk by going through all of them, which would make large shards of small networks take a
  /// time that grows with the square of their chunks.
  @Test(arguments: Codec.allCases)
  func `knows where each chunk lies without a search`(codec: Codec) throws {
    let fixture = try ShardFixture(codec: codec)
    let header = ShardHeader(manifest: fixture.corpus.manifest, codec: codec, checkpoints: 23)
    var encoder = try RunEncoder(header: header)
    let runs = (0..<700).map { TestCorpus.run($0) }
    let encoded = try runs.map { try encoder.encode($0) }
    let file = "shards/000000-000699.h5"
    var writer = try ShardWriter(
      path: fixture.corpus.absolute(file), header: header, counts: runs.map(\.count), bytes: 1 << 20)
    for run in encoded { try writer.append(run) }
    // With the first one HDF5 begins its table of chunks.
    #expect(writer.searches <= 1)
    try writer.finish()
    #expect(same(try fixture.read(file), runs))
  }

  /// As two processes where no lock keeps them apart.
  @Test func `who makes the same run does not write into the same file`() throws {
    let fixture = try ShardFixture()
    let header = ShardHeader(manifest: fixture.corpus.manifest, codec: .delta, checkpoints: 23)
    var encoder = try RunEncoder(header: header)
    let run = try encoder.encode(TestCorpus.run(1))
    let file = "runs/000/000001.h5"
    func begin() throws -> ShardWriter {
      try ShardWriter(
        path: fixture.corpus.absolute(file), header: header, counts: [run.count],
        bytes: run.compressedBytes)
    }
    var one = try begin()
    try one.append(run)
    var other = try begin()
    try one.finish()
    #expect(same(try fixture.read(file), [TestCorpus.run(1)]))
    try other.append(run)
    try other.finish()
    #expect(same(try fixture.read(file), [TestCorpus.run(1)]))
    #expect(try Files.names(in: fixture.corpus.runsPath + "/000") == ["000001.h5"])
  }
}

/// Equality of bits: NaN equals itself here.
func same(_ a: [Run], _ b: [Run]) -> Bool {
  func bits(_ runs: [Run]) -> [[UInt32]] {
    runs.map { run in
      [UInt32(run.seed)] + run.iterations.map { UInt32(bitPattern: $0) }
        + run.metrics.joined().map(\.bitPattern) + run.parameters.map(\.bitPattern)
    }
  }
  return bits(a) == bits(b)
}

@Suite(.temporaryDirectories) struct ShardTests {
  /// Attributes and metadata before them have any length.
  @Test(arguments: [1, 7, 23, 60]) func `raw checkpoints are mapped where they lie`(checkpoints: Int) throws {
    let fixture = try ShardFixture()
    let runs = [4, 9, 2].map { TestCorpus.run($0, checkpoints: checkpoints) }
    let file = "shards/000000-000009.h5"
    try fixture.store(runs, as: file, codec: .raw, checkpoints: checkpoints)
    let shard = try MappedShard(opening: fixture.corpus.absolute(file), metric: 0)
    for run in runs {
      let location = try #require(shard.location(of: run.seed))
      for step in 0..<run.count {
        let row = location.firstRow + step
        #expect(try UInt(bitPattern: shard.chunk(ofRow: row).baseAddress) % 64 == 0)
        let values = UnsafeBufferPointer(
          start: try #require(try shard.rawValues(row: row)), count: run.parameterCount)
        let stored = run.parameters[(step * run.parameterCount)..<((step + 1) * run.parameterCount)]
        #expect(values.map(\.bitPattern) == stored.map(\.bitPattern))
      }
    }
  }

  @Test(arguments: Codec.allCases, [1, 2, 15, 16, 17, 20, 23, 25, 26, 40, 41])
  func `gives back every run of any length`(codec: Codec, checkpoints: Int) throws {
    let fixture = try ShardFixture()
    let runs = [4, 9, 2].map { TestCorpus.run($0, checkpoints: checkpoints) }
    try fixture.store(runs, as: "shards/000000-000009.h5", codec: codec, checkpoints: checkpoints)
    #expect(same(try fixture.read("shards/000000-000009.h5"), runs))
  }

  @Test(arguments: Codec.allCases)
  func `holds runs of different lengths`(codec: Codec) throws {
    let fixture = try ShardFixture()
    let runs = [1, 60, 7, 16].enumerated().map { TestCorpus.run(Int64($0), checkpoints: $1) }
    try fixture.store(runs, as: "shards/000000-000009.h5", codec: codec, checkpoints: 60)
    #expect(same(try fixture.read("shards/000000-000009.h5"), runs))
  }

  @Test(arguments: Codec.allCases)
  func `keeps the bits of every kind of float`(codec: Codec) throws {
    let fixture = try ShardFixture()
    let special: [Float] = [
      .nan, Float(bitPattern: 0x7FA0_0001), Float(bitPattern: 0xFFC1_2345), .infinity, -.infinity, -0.0, 0,
      .leastNonzeroMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude, 1, -1, .pi, 10.5,
    ]
    let run = Run(
      seed: 0, iterations: [0, 1], metrics: [[.nan, .infinity], [-0.0, 1]], parameters: special)
    try fixture.store([run], as: "runs/000/000000.h5", codec: codec, checkpoints: 2)
    #expect(same(try fixture.read("runs/000/000000.h5"), [run]))
    #expect(run.status == .nonfinite)
  }

  @Test(arguments: Codec.allCases)
  func `reads any part of a run`(codec: Codec) throws {
    let fixture = try ShardFixture()
    let run = TestCorpus.run(1, checkpoints: 45)
    try fixture.store(
      [TestCorpus.run(0, checkpoints: 45), run], as: "shards/000000-000009.h5", codec: codec, checkpoints: 45)
    let shard = try ShardReader(opening: fixture.corpus.absolute("shards/000000-000009.h5"))
    var decoder = try RunDecoder(header: shard.header)
    for first in 0...45 {
      for end in first...45 {
        let part = try decoder.parameters(of: shard.runs[1], steps: first..<end, in: shard)
        #expect(part == Array(run.parameters[(7 * first)..<(7 * end)]))
      }
    }
  }

  @Test func `says of itself what the corpus is`() throws {
    let fixture = try ShardFixture()
    try fixture.storeSingly([5])
    let shard = try ShardReader(opening: fixture.corpus.absolute("runs/000/000005.h5"))
    let expected = ShardHeader(manifest: fixture.corpus.manifest, codec: .delta, checkpoints: 23)
    #expect(shard.header == expected)
    #expect(shard.runs.map(\.seed) == [5])
    try shard.header.requireMember(of: fixture.corpus.manifest, path: shard.path)
    #expect {
      try shard.header.requireMember(of: TestCorpus.manifest(learningRate: 0.3), path: shard.path)
    } throws: { ($0 as? CorpusError)?.code == .foreignShard }
  }

  @Test func `leaves nothing behind when dropped half-way`() throws {
    let fixture = try ShardFixture()
    let header = ShardHeader(manifest: fixture.corpus.manifest, codec: .delta, checkpoints: 23)
    do {
      var encoder = try RunEncoder(header: header)
      let run = try encoder.encode(TestCorpus.run(0))
      var writer = try ShardWriter(
        path: fixture.corpus.absolute("shards/000000-000009.h5"), header: header, counts: [23, 23],
        bytes: 1000)
      try writer.append(run)
    }
    #expect(try Files.names(in: fixture.corpus.shardsPath) == [])
  }

  @Test func `gives the same bytes for the same runs`() throws {
    let fixture = try ShardFixture()
    try fixture.store([TestCorpus.run(0)], as: "shards/000000-000009.h5")
    try fixture.store([TestCorpus.run(0)], as: "shards/000010-000019.h5")
    #expect(try fixture.bytes("shards/000000-000009.h5") == fixture.bytes("shards/000010-000019.h5"))
  }

  /// Files made by the first release; they must stay readable. See Tests/Golden/README.md.
  @Test(arguments: Codec.allCases)
  func `reads the golden shards`(codec: Codec) throws {
    let path = Golden.path("shard-v1-\(codec.rawValue).h5")
    let shard = try ShardReader(opening: path)
    var decoder = try RunDecoder(header: shard.header)
    let runs = try shard.runs.indices.map { try decoder.run(at: $0, in: shard) }
    #expect(same(runs, Golden.runs))
    try shard.header.requireMember(of: TestCorpus.manifest(), path: path)
  }

  /// Makes the golden files; run with CORPUS_WRITE_GOLDEN=1 when a new version of the format begins.
  @Test(
    .enabled(if: ProcessInfo.processInfo.environment["CORPUS_WRITE_GOLDEN"] != nil), arguments: Codec.allCases
  )
  func `writes the golden shards`(codec: Codec) throws {
    let fixture = try ShardFixture()
    try fixture.store(Golden.runs, as: "shards/000000-000009.h5", codec: codec)
    try fixture.bytes("shards/000000-000009.h5").write(
      to: URL(fileURLWithPath: Golden.path("shard-v1-\(codec.rawValue).h5")))
  }
}

enum Golden {
  static let runs = [3, 8].map { TestCorpus.run($0) }

  static func path(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Golden/\(name)"
  }
}
