import CorpusStore
import MetricIndex
import Platform
import Tasks
import ArgumentParser
import Corpus
import Foundation
import ShardStore

/// Measurements of single rooms; Scripts/benchmark builds and runs them beside their peers.
@main
struct Benchmarks: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "corpus-benchmarks",
    subcommands: [
      Decode.self, MakeUp.self, Append.self, Ingest.self, MNISTParity.self, CIFAR10Speed.self,
      CIFAR10Kernels.self,
      CIFAR10Parity.self, GPTParity.self, GPTSpeed.self, PlaneSpeed.self, Views.self,
    ])
}

/// Decodes a whole corpus on one core, again and again.
struct Decode: ParsableCommand {
  @Argument var path: String
  @Option var repetitions = 9

  func run() throws {
    let corpus = try CorpusDirectory(opening: path)
    let shards = try corpus.shardFiles().map { try ShardReader(opening: corpus.absolute($0)) }
    var seconds: [Double] = []
    var bytes = 0
    var values: [Float] = []
    // The first round brings the files into the page cache, and is not counted.
    for round in 0...repetitions {
      bytes = 0
      let began = ContinuousClock.now
      for shard in shards {
        var decoder = try RunDecoder(header: shard.header)
        for run in shard.runs {
          let count = run.count * shard.header.parameterCount
          if values.count < count { values = [Float](repeating: 0, count: count) }
          try values.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
            try decoder.decode(
              run, steps: 0..<run.count, in: shard,
              into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
          }
          bytes += 4 * count
        }
      }
      if round > 0 { seconds.append(began.duration(to: .now) / .seconds(1)) }
    }
    seconds.sort()
    func rate(_ seconds: Double) -> String { String(format: "%.2f", Double(bytes) / seconds / 1e9) }
    print(
      "decode: \(rate(seconds[seconds.count / 2])) GB/s of float32 on one core, reading included "
        + "(median of \(repetitions), best \(rate(seconds[0])), worst \(rate(seconds[seconds.count - 1])); "
        + "\(bytes / 1_000_000) MB, codec \(shards[0].header.codec.rawValue))")
  }
}

/// Runs with next to no parameters: work for the index alone.
private enum MadeUpRuns {
  static let manifest = Manifest(
    task: "made-up", architecture: Architecture(name: "one", tensors: [.init("weight", [1])]),
    metrics: [.trainReturn], recipe: .object([:]), generatorVersion: 1, split: SplitRule(testLimit: 2_050),
    codec: .delta)

  static func run(_ seed: Int64, checkpoints: Int) -> Run {
    var random = PhiloxGenerator(seed: UInt64(seed))
    return Run(
      seed: seed, iterations: (0..<checkpoints).map { Int32($0 * 2) },
      metrics: [(0..<checkpoints).map { Float($0) + 50 * random.uniform() }],
      parameters: (0..<checkpoints).map { _ in random.uniform() })
  }
}

/// Stores made-up runs one by one, as generating jobs do.
struct Append: ParsableCommand {
  @Argument var path: String
  @Option var first = 0
  @Option var runs = 5_000
  @Option var checkpoints = 200
  @Flag var noIndex = false

  func run() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: MadeUpRuns.manifest)
    let header = ShardHeader(manifest: corpus.manifest, codec: .delta, checkpoints: checkpoints)
    let writer = try CorpusWriter(corpus, index: noIndex ? nil : MetricIndex(openingOrCreating: corpus))
    try parallelForEach(
      (first..<first + runs).map(Int64.init), workers: Workers.available,
      state: { () throws(CorpusError) in try RunEncoder(header: header) }
    ) { [checkpoints] (seed, encoder) throws(CorpusError) in
      _ = try writer.store(seed, with: &encoder) { MadeUpRuns.run(seed, checkpoints: checkpoints) }
    }
    let left = try writer.finish()
    print("stored \(runs) runs of \(checkpoints) checkpoints in \(path), \(left) of them not in the index")
  }
}

/// Makes up a corpus of many runs in sealed shards.
struct MakeUp: ParsableCommand {
  @Argument var path: String
  @Option var runs = 5_000
  @Option var checkpoints = 200
  @Option var runsPerShard = 500

  func run() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: MadeUpRuns.manifest)
    let header = ShardHeader(manifest: corpus.manifest, codec: .delta, checkpoints: checkpoints)
    var encoder = try RunEncoder(header: header)
    for first in stride(from: 0, to: runs, by: runsPerShard) {
      let seeds = first..<min(first + runsPerShard, runs)
      var writer = try ShardWriter(
        path: corpus.absolute(corpus.sealedFile(first: Int64(first), last: Int64(seeds.upperBound - 1))),
        header: header, counts: seeds.map { _ in checkpoints }, bytes: 0)
      for seed in seeds {
        try writer.append(encoder.encode(MadeUpRuns.run(Int64(seed), checkpoints: checkpoints)))
      }
      try writer.finish()
    }
    print("made up \(runs) runs of \(checkpoints) checkpoints in \(path)")
  }
}

/// Takes a corpus up into its index: from nothing, and into the existing index as generating jobs do.
struct Ingest: ParsableCommand {
  @Argument var path: String
  @Option var repetitions = 3

  func run() throws {
    let corpus = try CorpusDirectory(opening: path)
    var bulk: [Double] = []
    var incremental: [Double] = []
    for _ in 0..<repetitions {
      var began = ContinuousClock.now
      _ = try MetricIndex.rebuild(corpus)
      bulk.append(began.duration(to: .now) / .seconds(1))
      try Files.remove(corpus.indexPath)
      began = ContinuousClock.now
      _ = try MetricIndex(openingOrCreating: corpus).synchronize()
      incremental.append(began.duration(to: .now) / .seconds(1))
    }
    let rows = try IndexReader(opening: corpus).rows("SELECT count(*) FROM checkpoints")[0][0]
    guard case .integer(let count) = rows else { return }
    for (name, seconds) in [
      ("rebuild", bulk.sorted()), ("ingest into an index that is there", incremental.sorted()),
    ] {
      let median = seconds[seconds.count / 2]
      print(
        "\(name): \(Int(Double(count) / median)) checkpoint rows/s (median of \(repetitions), "
          + String(format: "%.2f s for %d rows)", median, count))
    }
  }
}
