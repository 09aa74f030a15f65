import Corpus
import Foundation
import MetricIndex
import ShardStore
import TestSupport
import Testing

import PairSampling
import PairStream

/// Where the parameters come from makes no difference to what they are.
@Suite(.temporaryDirectories) struct SourceTests {
  static func permuted(_ options: inout PairStreamOptions) { options.augmentation = .permute }

  @Test(arguments: Codec.allCases, [false, true])
  func `every codec, sealed or not, gives the same pairs`(codec: Codec, isSealed: Bool) throws {
    let plain = try StreamFixture()
    let expected = try plain.stream(Self.permuted).restOfEpoch()
    let fixture = try StreamFixture(codec: codec, isSealed: isSealed)
    #expect(try fixture.stream(Self.permuted).restOfEpoch() == expected)
  }

  @Test(arguments: [0, 20_000, 1_000_000])
  func `a cache in memory gives the same pairs, whatever fits into it`(bytes: Int) throws {
    let fixture = try StreamFixture()
    let expected = try fixture.stream(Self.permuted).restOfEpoch()
    let stream = try fixture.stream {
      Self.permuted(&$0)
      $0.cache = .memory(bytes: bytes)
    }
    #expect(try stream.restOfEpoch() == expected)
    let cached = stream.statistics.cached
    _ = try stream.restOfEpoch()
    #expect(bytes == 0 ? stream.statistics.cached == 0 : stream.statistics.cached > cached)
  }

  @Test func `a cache on disk serves later streams, which then need no shard`() throws {
    let fixture = try StreamFixture()
    let options = { (options: inout PairStreamOptions) in
      options.augmentation = .permute
      options.cache = .disk(path: fixture.folder.path + "/cache", bytes: 1 << 30)
    }
    let expected = try fixture.stream(Self.permuted).restOfEpoch()
    #expect(try fixture.stream(options).restOfEpoch() == expected)
    // Damage in the shard's parameters cannot matter any more.
    let file = try #require(try fixture.corpus.shardFiles().first)
    let path = fixture.corpus.absolute(file)
    let chunk = try ShardReader(opening: path).runs[0].chunks[0]
    var bytes = try Data(contentsOf: URL(filePath: path))
    for i in 0..<chunk.bytes { bytes[Int(chunk.offset) + i] ^= 0x55 }
    try bytes.write(to: URL(filePath: path))
    let again = try fixture.stream(options)
    #expect(try again.restOfEpoch() == expected)
    #expect(again.statistics.cached >= 80)
  }

  @Test func `another corpus does not get the cache of this one`() throws {
    let one = try StreamFixture(runs: 0..<10)
    let cache = PairStreamOptions.Cache.disk(path: one.folder.path + "/cache", bytes: 1 << 30)
    _ = try one.stream { $0.cache = cache }.restOfEpoch()
    let other = try StreamFixture(runs: 1..<11)
    let expected = try other.stream().restOfEpoch()
    #expect(try other.stream { $0.cache = cache }.restOfEpoch() == expected)
  }

  @Test func `runs may be compacted while they are read`() throws {
    let fixture = try StreamFixture(isSealed: false)
    let expected = try fixture.stream().restOfEpoch()
    let stream = try fixture.stream { $0.prefetch = 1 }
    var pairs = try stream.next().pairs
    try fixture.compact()
    #expect(try fixture.corpus.shardFiles().allSatisfy { $0.hasPrefix("shards/") })
    pairs += try stream.restOfEpoch()
    #expect(pairs == expected)
  }

  @Test func `runs that are stored later do not disturb an open stream`() throws {
    let fixture = try StreamFixture()
    let expected = try fixture.stream().restOfEpoch()
    let stream = try fixture.stream()
    let fingerprint = stream.fingerprint
    try fixture.store(10..<14)
    #expect(try stream.restOfEpoch() == expected)
    // A stream that is opened now draws from more runs, and says so by its name.
    #expect(try fixture.stream().fingerprint != fingerprint)
    #expect(try fixture.stream { $0.condition = "run < 8" }.runCount == 8)
  }

  @Test func `the scale makes the deviation of all parameters 0.538`() throws {
    let fixture = try StreamFixture()
    let stream = try fixture.stream { $0.scale = .corpus }
    let all: [Double] = (0..<8).flatMap { StreamFixture.run($0, 23).parameters.map { Double($0) } }
    let mean: Double = all.reduce(0, +) / Double(all.count)
    let squares: [Double] = all.map { ($0 - mean) * ($0 - mean) }
    let deviation = (squares.reduce(0, +) / Double(all.count)).squareRoot()
    let scaledDeviation = Double(stream.scale) * deviation
    #expect(abs(scaledDeviation - 0.538) < 1e-6)
    let plain = try fixture.stream().next().pairs
    let scaled = try stream.next().pairs
    #expect(zip(plain, scaled).allSatisfy { a, b in b.parameters == a.parameters.map { stream.scale * $0 } })
  }
}
