public import Corpus

/// Turns the files of single runs into sealed shards of many, by copying their compressed chunks.
public struct Compaction {
  /// What a compaction did.
  public struct Report: Sendable {
    public var runs = 0
    public var sealedFiles: [String] = []
    /// Runs that were left where they are, as their files are damaged or foreign.
    public var problems: [CorpusError] = []
  }

  /// A single run's file, as the plan for sealed shards needs to know it.
  private struct Source {
    let file: String
    let seed: Int64
    let count: Int
    let header: ShardHeader
    let bytes: Int
  }

  private let directory: CorpusDirectory
  private let bytesPerShard: Int

  /// - Parameter bytesPerShard: a sealed shard is closed before it grows beyond this.
  public init(directory: CorpusDirectory, bytesPerShard: Int = 512 << 20) {
    self.directory = directory
    self.bytesPerShard = bytesPerShard
  }

  /// Seals all runs that are there now.
  ///
  /// - Parameters:
  ///   - progress: called after each run with the number sealed so far and the number of all.
  ///   - indexing: called with each sealed file before the files that it replaces are removed.
  public func run(
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in },
    indexing: (String) throws(CorpusError) -> Void
  ) throws(CorpusError) -> Report {
    let claims = try Claims(directory: directory.path)
    guard try claims.take(Claims.compaction) else {
      throw CorpusError(
        .alreadyExists, "another process is compacting or repacking \(directory.path)",
        remedy: "wait until it has ended")
    }
    defer { claims.release(Claims.compaction) }
    // Copies of a corpus may lack it, as some tools leave out empty directories.
    try Files.createDirectory(directory.shardsPath)
    try removeLeftovers(claims)
    var report = Report()
    let sources = try plan(&report)
    let total = sources.reduce(0) { $0 + $1.count }
    for group in sources {
      let file = directory.sealedFile(first: group[0].seed, last: group[group.count - 1].seed)
      try seal(group, as: file) { () throws(CorpusError) in
        report.runs += 1
        progress(report.runs, total)
        try cancellation.check()
      }
      report.sealedFiles.append(file)
      try indexing(file)
      for source in group { try Files.remove(directory.absolute(source.file)) }
      try Files.synchronizeDirectory(directory.runsPath)
    }
    return report
  }

  /// Groups the single runs into shards: one kind of header each, ascending seeds, not too many bytes.
  private func plan(_ report: inout Report) throws(CorpusError) -> [[Source]] {
    var groups: [[Source]] = []
    var bytes = 0
    let files = try directory.shardFiles().filter { $0.hasPrefix("runs/") }
    for file in files {
      do throws(CorpusError) {
        let source = try examine(file)
        let joins = groups.last.map { $0[0].header == source.header } ?? false
        if joins && bytes + source.bytes <= bytesPerShard {
          groups[groups.count - 1].append(source)
          bytes += source.bytes
        } else {
          groups.append([source])
          bytes = source.bytes
        }
      } catch {
        report.problems.append(error)
      }
    }
    return groups
  }

  /// Reads a single run whole, so that nothing damaged is sealed and its source removed.
  private func examine(_ file: String) throws(CorpusError) -> Source {
    let shard = try ShardReader(opening: directory.absolute(file))
    try shard.header.requireMember(of: directory.manifest, path: shard.path)
    guard shard.runs.count == 1 else {
      throw CorpusError(
        .foreignShard, "\(shard.path) holds \(shard.runs.count) runs", remedy: "move it to shards/")
    }
    var decoder = try RunDecoder(header: shard.header)
    _ = try decoder.run(at: 0, in: shard)
    let run = shard.runs[0]
    return Source(
      file: file, seed: run.seed, count: run.count, header: shard.header,
      bytes: run.chunks.reduce(0) { $0 + $1.bytes })
  }

  private func seal(
    _ group: [Source], as file: String, each: () throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let writer = try ShardWriter(
      path: directory.absolute(file), header: group[0].header, counts: group.map(\.count),
      bytes: group.reduce(0) { $0 + $1.bytes })
    for source in group {
      try writer.append(ShardReader(opening: directory.absolute(source.file)).encodedRun(at: 0))
      try each()
    }
    try writer.finish()
  }

  /// Removes the unfinished files of killed jobs; those of living ones are claimed.
  private func removeLeftovers(_ claims: Claims) throws(CorpusError) {
    for name in try Files.names(in: directory.shardsPath) where name.hasPrefix(".") {
      try Files.remove("\(directory.shardsPath)/\(name)")
    }
    for name in try Files.names(in: directory.runsPath) where name.hasPrefix(".") && name.hasSuffix(".h5.tmp")
    {
      guard let seed = Int64(name.dropFirst().dropLast(7)), try claims.take(seed) else { continue }
      try Files.remove("\(directory.runsPath)/\(name)")
      claims.release(seed)
    }
  }
}
