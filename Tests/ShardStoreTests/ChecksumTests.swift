import Maintenance
import Corpus
import Foundation
import ShardStore
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct ChecksumTests {
  private static let file = "shards/000000-000009.h5"

  /// What readers hand out of a run without reading all of it, for which there is no content hash.
  private func handedOut(_ fixture: ShardFixture) throws -> [[UInt32]] {
    let path = fixture.corpus.absolute(Self.file)
    let shard = try ShardReader(opening: path)
    var decoder = try RunDecoder(header: shard.header)
    let mapped = try MappedShard(opening: path, metric: 1)
    return try shard.runs.map { run in
      let location = try #require(mapped.location(of: run.seed))
      let values =
        try shard.metrics(of: run).joined().map(\.bitPattern) + mapped.metrics(of: location).map(\.bitPattern)
        + decoder.parameters(of: run, steps: 0..<run.count, in: shard).map(\.bitPattern)
      return [UInt32(run.seed)] + shard.iterations(of: run).map { UInt32(bitPattern: $0) } + values
    }
  }

  /// Tables of more than 32 KiB lie where HDF5 has no checksum.
  @Test(arguments: Codec.allCases)
  func `no flipped bit of a large shard is handed out`(codec: Codec) throws {
    let fixture = try ShardFixture()
    let runs = (0..<10).map { TestCorpus.run(Int64($0), checkpoints: 900) }
    try fixture.store(runs, as: Self.file, codec: codec, checkpoints: 900)
    let (original, expected) = (try fixture.bytes(Self.file), try handedOut(fixture))
    var random = PhiloxGenerator(seed: 15)
    var refused = 0
    for _ in 0..<100 {
      var bytes = original
      let bit = random.integer(below: UInt32(8 * bytes.count))
      bytes[Int(bit / 8)] ^= 1 << (bit % 8)
      try fixture.write(bytes, to: Self.file)
      do {
        #expect(try handedOut(fixture) == expected, "bit \(bit)")
      } catch is CorpusError {
        refused += 1
      }
    }
    #expect(refused > 50)
  }

  /// Each chunk is whole, and in the place of another.
  @Test func `chunks that have changed places are refused`() throws {
    let fixture = try ShardFixture()
    let runs = (0..<2).map { TestCorpus.run(Int64($0), checkpoints: 40) }
    for codec in Codec.allCases {
      try fixture.store(runs, as: Self.file, codec: codec, checkpoints: 40)
      let path = fixture.corpus.absolute(Self.file)
      let chunks = try ShardReader(opening: path).runs.map { $0.chunks[0] }
      var bytes = try fixture.bytes(Self.file)
      let (a, b) = (chunks[0], chunks[1])
      // Where they are not of one length, the longer one's end stays: as of a table with changed offsets.
      let length = min(a.bytes, b.bytes)
      let (first, second) = (Int(a.offset), Int(b.offset))
      let moved = bytes.subdata(in: first..<(first + length))
      bytes.replaceSubrange(first..<(first + length), with: bytes.subdata(in: second..<(second + length)))
      bytes.replaceSubrange(second..<(second + length), with: moved)
      try fixture.write(bytes, to: Self.file)
      #expect(throws: CorpusError.self, "\(codec)") { try handedOut(fixture) }
      let mapped = try MappedShard(opening: path, metric: 0)
      #expect(throws: CorpusError.self, "\(codec)") { try mapped.chunk(ofRow: 0) }
      #expect(throws: CorpusError.self, "\(codec)") {
        _ = try mapped.rawValues(row: 0).map { $0[0] } ?? refuse()
      }
    }
  }

  private func refuse() throws -> Float { throw CorpusError(.damagedShard, "it is not raw", remedy: "none") }

  @Test(arguments: Codec.allCases)
  func `shards of the first release get checksums by repacking`(codec: Codec) throws {
    let fixture = try ShardFixture(codec: codec)
    try fixture.write(
      Data(contentsOf: URL(fileURLWithPath: Golden.path("shard-v1-\(codec.rawValue).h5"))), to: Self.file)
    let path = fixture.corpus.absolute(Self.file)
    #expect(try !ShardReader(opening: path).hasChecksums)
    for expected in [[Self.file], []] {
      let report = try Repacking(directory: fixture.corpus, codec: codec).run { _ in }
      #expect(report.files == expected && report.problems.isEmpty)
      #expect(try ShardReader(opening: path).hasChecksums)
      #expect(same(try fixture.read(Self.file), Golden.runs))
    }
  }
}
