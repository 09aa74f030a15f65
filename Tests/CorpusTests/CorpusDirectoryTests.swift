import Platform
import ShardStore
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct CorpusDirectoryTests {
  private let temporary = TemporaryDirectory()
  private var path: String { temporary.path + "/corpus" }

  private func code(_ body: () throws -> Void) -> CorpusError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? CorpusError)?.code
    }
  }

  private func write(_ text: String, to name: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }

  @Test func `opens what it made`() throws {
    let made = try CorpusDirectory(openingOrCreating: path + "/deep/er/", manifest: TestCorpus.manifest())
    let opened = try CorpusDirectory(opening: path + "/deep/er")
    #expect(opened.manifest == made.manifest)
    #expect(opened.path == path + "/deep/er")
    #expect(try opened.shardFiles() == [])
  }

  @Test func `goes on with a corpus of the same recipe, whatever its codec`() throws {
    _ = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest(codec: .zstd))
    let again = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest(codec: .delta))
    #expect(again.manifest.codec == .zstd)
  }

  @Test func `refuses other runs`() throws {
    _ = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    func opening(_ manifest: Manifest) -> CorpusError.Code? {
      code { _ = try CorpusDirectory(openingOrCreating: path, manifest: manifest) }
    }
    #expect(opening(TestCorpus.manifest(task: "other")) == .differentTask)
    #expect(opening(TestCorpus.manifest(learningRate: 0.2)) == .differentRecipe)
    var newer = TestCorpus.manifest()
    newer.generatorVersion = 2
    #expect(opening(newer) == .differentRecipe)
  }

  @Test func `says how recipes differ`() throws {
    _ = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    #expect {
      try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest(learningRate: 0.2))
    } throws: {
      "\($0)".contains("learning_rate 0.1, not 0.2")
    }
  }

  @Test func `refuses a directory that is no corpus`() throws {
    #expect(code { _ = try CorpusDirectory(opening: path) } == .notACorpus)
    try write("hello", to: "notes.txt")
    #expect(code { _ = try CorpusDirectory(opening: path) } == .notACorpus)
    #expect(
      code { _ = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest()) }
        == .alreadyExists)
  }

  @Test(arguments: [
    ("", CorpusError.Code.notACorpus), ("{", .notACorpus), ("{}", .notACorpus), ("[1]", .notACorpus),
    (#"{"format": "checkpoint-corpus"}"#, .unsupportedVersion),
    (#"{"format": "checkpoint-corpus", "version": 2}"#, .unsupportedVersion),
    (#"{"format": "checkpoint-corpus", "version": 1}"#, .notACorpus),
    ("\u{0}\u{1}\u{2}", .notACorpus),
  ])
  func `refuses a bad manifest`(text: String, expected: CorpusError.Code) throws {
    try write(text, to: "corpus.json")
    #expect(code { _ = try CorpusDirectory(opening: path) } == expected)
  }

  @Test(arguments: [
    ("[7]", "[1099511627776,1099511627776]"), ("[7]", "[-7]"), ("[7]", "[0]"), ("[7]", "[200000000]"),
    ("\"test_fraction\":0.2", "\"test_fraction\":1e300"), ("\"test_limit\":2", "\"test_limit\":-2"),
  ])
  func `refuses impossible numbers in a manifest`(old: String, new: String) throws {
    var manifest = TestCorpus.manifest()
    manifest.architecture = Architecture(name: "flat", tensors: [.init("all", [7])])
    let text = try CanonicalJSON.string(manifest)
    #expect(text.contains(old))
    try write(text.replacing(old, with: new), to: "corpus.json")
    #expect(code { _ = try CorpusDirectory(opening: path) } == .notACorpus)
  }

  @Test func `refuses metrics that are no columns`() throws {
    for name in ["run", "drop table", "a-b", "", "Loss"] {
      var manifest = TestCorpus.manifest()
      manifest.metrics = [Metric(name, goal: .minimize)]
      try write(try CanonicalJSON.string(manifest), to: "corpus.json")
      #expect(code { _ = try CorpusDirectory(opening: path) } == .notACorpus)
    }
  }

  @Test func `lists shards and nothing else`() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    for folder in ["000", "001", "12345", "copy", ".repair"] {
      try Files.createDirectory(corpus.runsPath + "/\(folder)")
    }
    for name in [
      "runs/000/000002.h5", "runs/000/000001.h5", "runs/.000003.h5.tmp", "shards/000004-000009.h5",
      "shards/notes.txt", "runs/notes.h5", "runs/3.h5", "runs/+00005.h5", "shards/000001.h5",
      // As earlier programs stored them, in another run's directory, and in nobody's.
      "runs/000007.h5", "runs/001/000008.h5", "runs/copy/000009.h5", "runs/.repair/000010.h5",
      "runs/000/.000011.h5.tmp", "runs/12345/12345678.h5", "shards/00001-000002.h5",
      "shards/000001-x00002.h5",
    ] { try write("", to: name) }
    #expect(
      try corpus.shardFiles() == [
        "shards/000004-000009.h5", "runs/000007.h5", "runs/000/000001.h5", "runs/000/000002.h5",
        "runs/12345/12345678.h5",
      ])
    #expect(
      try corpus.strayFiles() == [
        "shards/000001-x00002.h5", "shards/000001.h5", "shards/00001-000002.h5", "runs/+00005.h5",
        "runs/3.h5", "runs/notes.h5", "runs/001/000008.h5",
      ])
    #expect(corpus.runFile(seed: 12) == "runs/000/000012.h5")
    #expect(corpus.runFile(seed: 12_345_678) == "runs/12345/12345678.h5")
    #expect(corpus.presentRunFile(seed: 7) == "runs/000007.h5")
    #expect(corpus.presentRunFile(seed: 2) == "runs/000/000002.h5" && corpus.presentRunFile(seed: 3) == nil)
  }

  @Test func `gives a claim to one owner at a time`() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    let a = try RunLocks(corpus)
    var b: RunLocks? = try RunLocks(corpus)
    #expect(try a.lock(5) && b?.lock(5) == false && b?.lock(6) == true)
    #expect(a.isLocked(6) && b?.isLocked(5) == true && !a.isLocked(7) && !a.isLocked(5))
    b = nil
    #expect(!a.isLocked(6))
    a.unlock(5)
    #expect(try RunLocks(corpus).lock(5))
  }

  @Test func `a claim ends with its owner, whatever processes are being started meanwhile`() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    var owner: RunLocks? = try RunLocks(corpus)
    #expect(try owner?.lock(5) == true)
    // What such a process has until it runs its program.
    let inherited = try Files.names(in: "/proc/self/fd").compactMap { Int32($0) }.filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path + "/.lock"
    }.map { dup($0) }
    #expect(!inherited.isEmpty)
    owner = nil
    #expect(try RunLocks(corpus).lock(5))
    for descriptor in inherited { close(descriptor) }
  }

  @Test func `gives every claim to who is alone`() throws {
    var corpus = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    let other = try RunLocks(corpus)
    #expect(try other.lock(5))
    corpus.isAlone = true
    let locks = try RunLocks(corpus)
    #expect(try locks.lock(5) && !locks.isLocked(5))
    locks.unlock(5)
    #expect(try corpus.replacing(codec: .raw).isAlone)
  }

  @Test func `keeps the old file where the new one cannot be written`() throws {
    let corpus = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    let directory = path + "/missing"
    #expect(code { try Files.write(Data("new".utf8), to: directory + "/file") } == .inputOutput)
    try Files.write(Data("old".utf8), to: path + "/file")
    try Files.write(Data("newer".utf8), to: path + "/file")
    #expect(try String(contentsOfFile: path + "/file", encoding: .utf8) == "newer")
    #expect(try Files.names(in: corpus.path).filter { $0.hasSuffix(".tmp") } == [])
  }
}
