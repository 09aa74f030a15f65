import Foundation

/// A corpus on disk: `corpus.json`, `shards/`, `runs/` and `index.sqlite`.
public struct CorpusDirectory: Sendable {
  public let path: String
  public let manifest: Manifest

  public var indexPath: String { "\(path)/index.sqlite" }
  /// Sealed shards of many runs.
  public var shardsPath: String { "\(path)/shards" }
  /// Shards of one run each, not yet compacted.
  public var runsPath: String { "\(path)/runs" }

  /// Opens an existing corpus.
  public init(opening path: String) throws(CorpusError) {
    let path = Self.normalized(path)
    let manifestPath = "\(path)/corpus.json"
    guard Files.exists(path) else {
      throw CorpusError(
        .notACorpus, "there is no directory \(path)",
        remedy: "check the path, or make a corpus there with "
          + "`corpus generate`")
    }
    guard Files.exists(manifestPath) else {
      throw CorpusError(
        .notACorpus, "\(path) is not a corpus: it has no corpus.json",
        remedy: "name the directory that `corpus generate --out` made")
    }
    self.path = path
    manifest = try Manifest(json: Self.contents(manifestPath), path: manifestPath)
  }

  /// Opens the corpus of these runs, or makes it where nothing is there yet.
  ///
  /// - Parameter codec: how new shards are stored; nil for what the corpus says, and `delta` in a new one.
  /// - Throws: if the directory holds other runs, or other things.
  public init(openingOrCreating path: String, manifest: Manifest) throws(CorpusError) {
    let path = Self.normalized(path)
    if Files.exists("\(path)/corpus.json") {
      self = try CorpusDirectory(opening: path)
      try self.manifest.requireSameRuns(as: manifest, path: path)
    } else {
      let others = try Files.names(in: path).filter { !$0.hasPrefix(".") }
      guard others.isEmpty || Set(others).isSubset(of: ["shards", "runs"]) else {
        throw CorpusError(
          .alreadyExists,
          "\(path) is no corpus, and it is not empty (\(others.prefix(3).joined(separator: ", ")))",
          remedy: "choose an empty or a new --out directory")
      }
      self.path = path
      self.manifest = manifest
      try Files.createDirectory(path)
      try writeManifest()
    }
    try Files.createDirectory(shardsPath)
    try Files.createDirectory(runsPath)
  }

  private init(path: String, manifest: Manifest) {
    self.path = path
    self.manifest = manifest
  }

  /// The same corpus, new shards of which are stored in another codec; `corpus.json` is written anew.
  public func replacing(codec: Codec) throws(CorpusError) -> CorpusDirectory {
    var manifest = manifest
    manifest.codec = codec
    let directory = CorpusDirectory(path: path, manifest: manifest)
    try directory.writeManifest()
    return directory
  }

  private func writeManifest() throws(CorpusError) {
    try Files.write(CanonicalJSON.data(manifest, pretty: true), to: "\(path)/corpus.json")
  }

  /// Where the shard of a single run lies, relative to the corpus.
  public func runFile(seed: Int64) -> String { "runs/\(Self.sixDigits(seed)).h5" }

  /// Where a sealed shard of these runs lies, relative to the corpus.
  public func sealedFile(first: Int64, last: Int64) -> String {
    "shards/\(Self.sixDigits(first))-\(Self.sixDigits(last)).h5"
  }

  /// All shards, relative to the corpus, sealed ones first, each group sorted by name.
  public func shardFiles() throws(CorpusError) -> [String] {
    var files: [String] = []
    for folder in ["shards", "runs"] {
      for name in try Files.names(in: "\(path)/\(folder)") where name.hasSuffix(".h5") && !name.hasPrefix(".")
      {
        files.append("\(folder)/\(name)")
      }
    }
    return files
  }

  /// The absolute, or at least usable, path of a file of the corpus.
  public func absolute(_ file: String) -> String { "\(path)/\(file)" }

  private static func sixDigits(_ number: Int64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private static func normalized(_ path: String) -> String {
    var path = path.isEmpty ? "." : path
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    return path
  }

  private static func contents(_ path: String) throws(CorpusError) -> Data {
    let file = try Descriptor(opening: path, 0)
    let size = try Files.status(path).bytes
    guard size < 16 << 20 else {
      throw CorpusError(.notACorpus, "\(path) is too large for a manifest", remedy: "check the path")
    }
    var data = Data(count: Int(size))
    let result = data.withUnsafeMutableBytes { buffer in
      Result { () throws(CorpusError) in try file.read(into: buffer, at: 0) }
    }
    try result.get()
    return data
  }
}
