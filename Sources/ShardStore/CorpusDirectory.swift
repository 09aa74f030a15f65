import Platform
public import Corpus
import Foundation

/// A corpus on disk: `corpus.json`, `shards/`, `runs/` and `index.sqlite`.
public struct CorpusDirectory: Sendable {
  public let path: String
  public let manifest: Manifest
  /// Whether no other process works on the corpus, so that nothing needs the file locks that some file systems lack.
  public var isAlone = ProcessInfo.processInfo.environment["CORPUS_ALONE"] == "1"

  public var indexPath: String { "\(path)/index.sqlite" }
  /// Sealed shards of many runs.
  public var shardsPath: String { "\(path)/shards" }
  /// Shards of one run each, not yet compacted.
  public var runsPath: String { "\(path)/runs" }
  /// Who makes which block of runs.
  public var claimsPath: String { "\(path)/claims" }
  /// What a repair has replaced without being able to prove that nothing is lost with it.
  public var damagedPath: String { "\(path)/damaged" }

  /// Opens an existing corpus.
  public init(opening path: String) throws(CorpusError) {
    let path = Self.normalized(path)
    let manifestPath = "\(path)/corpus.json"
    guard try Files.isPresent(path) else {
      throw CorpusError(
        .notACorpus, "there is no directory \(path)",
        remedy: "check the path, or make a corpus there with "
          + "`corpus generate`")
    }
    guard try Files.isPresent(manifestPath) else {
      throw CorpusError(
        .notACorpus, "\(path) is not a corpus: it has no corpus.json",
        remedy: "name the directory that `corpus generate --out` made")
    }
    self.path = path
    manifest = try Manifest(json: Files.contents(manifestPath, limit: Manifest.byteLimit), path: manifestPath)
  }

  /// Opens the corpus of a directory; nil where none is.
  public init?(ifPresentAt path: String) throws(CorpusError) {
    guard try Files.isPresent("\(Self.normalized(path))/corpus.json") else { return nil }
    try self.init(opening: path)
  }

  /// Opens the corpus of these runs, or makes it where nothing is there yet.
  ///
  /// - Throws: if the directory holds other runs, or other things.
  public init(openingOrCreating path: String, manifest: Manifest) throws(CorpusError) {
    let path = Self.normalized(path)
    if try Files.isPresent("\(path)/corpus.json") {
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
      try manifest.validate()
      try manifest.requireOwnColumns()
      try Files.createDirectory(path)
      do throws(CorpusError) {
        try Files.write(
          CanonicalJSON.data(manifest, pretty: true), to: "\(path)/corpus.json", replacing: false)
      } catch  where error.code == .alreadyExists {
        // Another process was faster; what it wrote counts.
      }
      self = try CorpusDirectory(opening: path)
      try self.manifest.requireSameRuns(as: manifest, path: path)
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
    try Files.write(CanonicalJSON.data(manifest, pretty: true), to: "\(path)/corpus.json")
    var corpus = CorpusDirectory(path: path, manifest: manifest)
    corpus.isAlone = isAlone
    return corpus
  }

  /// Where the shard of a single run lies, relative to the corpus.
  public func runFile(seed: Int64) -> String { "runs/\(Self.sixDigits(seed)).h5" }

  /// Where a sealed shard of these runs lies, relative to the corpus.
  public func sealedFile(first: Int64, last: Int64) -> String {
    "shards/\(Self.sixDigits(first))-\(Self.sixDigits(last)).h5"
  }

  /// Where the claim of a block of runs lies.
  ///
  /// - Parameter kind: what it is for, `claim` or `backup`.
  package func claimPath(_ seeds: Range<Int64>, _ kind: String) -> String {
    "\(claimsPath)/\(Self.sixDigits(seeds.lowerBound))-\(Self.sixDigits(seeds.upperBound - 1)).\(kind)"
  }

  /// All shards, relative to the corpus, sealed ones first, each group sorted by name.
  public func shardFiles() throws(CorpusError) -> [String] {
    try hdf5Files().filter { Self.seed(ofRunFile: $0) != nil || Self.isSealed($0) }
  }

  /// HDF5 files beside the shards that have not the name of one, and so are none of the corpus.
  public func strayFiles() throws(CorpusError) -> [String] {
    try hdf5Files().filter { Self.seed(ofRunFile: $0) == nil && !Self.isSealed($0) }
  }

  private func hdf5Files() throws(CorpusError) -> [String] {
    var files: [String] = []
    for folder in ["shards", "runs"] {
      for name in try Files.names(in: "\(path)/\(folder)") where name.hasSuffix(".h5") && !name.hasPrefix(".")
      {
        files.append("\(folder)/\(name)")
      }
    }
    return files
  }

  /// The run that a file must hold by its name, or nil where it is no file of a single run.
  public static func seed(ofRunFile file: String) -> Int64? {
    guard file.hasPrefix("runs/"), file.hasSuffix(".h5") else { return nil }
    let digits = file.dropFirst(5).dropLast(3)
    guard let seed = Int64(digits), sixDigits(seed) == digits, seed < SeedRange.limit else { return nil }
    return seed
  }

  /// Whether a file has the name of a sealed shard.
  public static func isSealed(_ file: String) -> Bool {
    file.wholeMatch(of: /shards\/[0-9]{6,}-[0-9]{6,}\.h5/) != nil
  }

  /// The seeds from the first to the last run of a sealed shard, by its name; nil where it is none's.
  public static func seeds(ofSealedFile file: String) -> ClosedRange<Int64>? {
    guard let match = file.wholeMatch(of: /shards\/([0-9]{6,})-([0-9]{6,})\.h5/),
      let first = Int64(match.1), let last = Int64(match.2), first <= last
    else { return nil }
    return first...last
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
}
