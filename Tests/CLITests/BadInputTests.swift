import Corpus
import Foundation
import TestSupport
import Testing

/// Each bad input gets one sentence that names the file or run and the remedy, and a status other than zero.
@Suite(.temporaryDirectories) struct BadInputTests {
  private let fixture = CommandFixture()

  private func expect(
    _ result: Command.Result, says words: String..., status: Int32 = 1,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(result.status == status, "\(result)", sourceLocation: sourceLocation)
    for word in words {
      #expect(result.error.contains(word), "\(result.error)", sourceLocation: sourceLocation)
    }
    let complaints = result.error.split(separator: "\n").filter { $0.hasPrefix("corpus: ") }
    #expect(complaints.count == 1, "\(result.error)", sourceLocation: sourceLocation)
  }

  @Test func `a directory that is no corpus`() throws {
    expect(try Command.run("status", fixture.path), says: fixture.path, "generate")
    expect(try Command.run("query", "/", "SELECT 1"), says: "no corpus.json")
    try Data("x".utf8).write(to: URL(fileURLWithPath: fixture.temporary.path + "/notes"))
    expect(
      try Command.run("generate", "cartpole", "--runs", "0", "--out", fixture.temporary.path),
      says: "notes", "empty or a new --out")
  }

  @Test func `another recipe`() throws {
    try fixture.generated("0")
    expect(
      try fixture.generated("1", ["--iterations", "7", "--checkpoints", "4", "--environments", "32"]),
      says: "iterations 6, not 7", "--out")
  }

  @Test func `an impossible recipe`() throws {
    for recipe in ["--iterations=0", "--checkpoints=600", "--environments=-1"] {
      expect(try fixture.generated("0", [recipe]), says: String(recipe.dropFirst(2).prefix { $0 != "=" }))
      #expect(!FileManager.default.fileExists(atPath: fixture.path))
    }
  }

  @Test func `another format version, or another task`() throws {
    try fixture.generated("0")
    let path = fixture.path + "/corpus.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacing("\"version\" : 1", with: "\"version\" : 9").write(
      toFile: path, atomically: true, encoding: .utf8)
    expect(try Command.run("status", fixture.path), says: "version 9", "release")
    try text.replacing("\"task\" : \"cartpole\"", with: "\"task\" : \"chess\"").write(
      toFile: path, atomically: true, encoding: .utf8)
    expect(try fixture.generated("1"), says: "task chess", "--out")
  }

  @Test(arguments: ["0..", "abc", "5..<5", "-3", "0..<1x", "0-4"])
  func `a malformed range`(range: String) throws {
    // With =, as a range may begin with a minus sign.
    let result = try Command.run("generate", "cartpole", "--runs=\(range)", "--out", fixture.path)
    expect(result, says: "\"\(range)\" is not a range", "0...499")
    #expect(!FileManager.default.fileExists(atPath: fixture.path))
  }

  @Test func `an unknown run`() throws {
    try fixture.generated("0..<2")
    expect(try Command.run("show", fixture.path, "77"), says: "no run 77", "between 0 and 1")
  }

  @Test func `SQL that fails, writes or never ends`() throws {
    try fixture.generated("0")
    expect(
      try Command.run("query", fixture.path, "SELECT x FROM runs"), says: "no such column: x", "index.sql")
    expect(try Command.run("query", fixture.path, "DELETE FROM runs"), says: "only read")
    let piped = try Command.run(
      "query", fixture.path, "-", "--format", "csv",
      shell: "echo 'SELECT count(*) AS n FROM runs -- of all' |")
    #expect(piped.status == 0 && piped.output == "n\n1\n", "\(piped)")
    let out = try Command.run("export", fixture.path, "--format", "npz", "--out", "-")
    #expect(out.status == 64 && out.error.contains("--out must name a file"))
    #expect(!FileManager.default.fileExists(atPath: "-"))
    // Not an option that nobody knows.
    let target = try Command.run("prompt", fixture.path + "/no-model", "--target", "-5")
    #expect(target.status == 1 && target.error.contains("no-model"), "\(target)")
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    expect(
      try Command.run("query", fixture.path, endless, "--timeout", "0.2"), says: "interrupted", status: 130)
    let command = Command(["query", fixture.path, endless])
    try command.start()
    Thread.sleep(forTimeInterval: 0.5)
    command.process.interrupt()
    expect(command.finish(), says: "interrupted", status: 130)
  }

  @Test func `a full disk`() throws {
    // A limit on the size of files, in blocks of 512 bytes, fails as a full disk does: in the midst of a write.
    try fixture.generated("0", CommandFixture.short)
    let before = try fixture.hashes()
    for blocks in [0, 2, 8, 40, 100] {
      let command = Command(
        ["generate", "cartpole", "--runs", "0..<3", "--out", fixture.path] + CommandFixture.short,
        shell: "ulimit -f \(blocks);")
      try command.start()
      expect(command.finish(), says: "full", "free some space")
      #expect(try fixture.hashes().hasPrefix(before))
      #expect(try Command.run("verify", fixture.path).status == 0)
    }
    #expect(try fixture.generated("0..<3", CommandFixture.short).status == 0)
    let complete = try fixture.hashes()
    for command in ["compact", "index --rebuild", "repack --codec zstd"] {
      let limited = Command(
        command.split(separator: " ").map(String.init) + [fixture.path], shell: "ulimit -f 40;")
      try limited.start()
      expect(limited.finish(), says: "full")
      #expect(try Command.run("verify", fixture.path).status == 0)
    }
    #expect(try fixture.hashes() == complete)
  }

  @Test func `a read-only directory`() throws {
    try fixture.generated("0")
    // Root may write anywhere, so root becomes somebody else here.
    let wrapper = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
    func run(_ arguments: String...) throws -> Command.Result {
      let command = Command(arguments, wrapper: wrapper)
      try command.start()
      return command.finish()
    }
    _ = try Command.run("index", fixture.path)
    for path in [fixture.path, fixture.path + "/runs", fixture.path + "/shards"] {
      chmod(path, 0o555)
    }
    chmod(fixture.temporary.path, 0o755)
    defer {
      for path in [fixture.path, fixture.path + "/runs", fixture.path + "/shards"] { chmod(path, 0o755) }
    }
    expect(
      try run(
        "generate", "cartpole", "--runs", "0..<2", "--out", fixture.path, "--iterations", "6",
        "--checkpoints",
        "4", "--environments", "32"), says: "no permission", "writable")
    expect(try run("generate", "cartpole", "--runs", "0", "--out", "/proc/x"), says: "/proc/x")
    expect(try run("compact", fixture.path), says: "no permission")
    chmod(fixture.path, 0)
    expect(try run("status", fixture.path), says: "no permission", "readable")
    chmod(fixture.path, 0o555)
    // Reading needs no permission to write.
    #expect(try run("query", fixture.path, "SELECT run FROM runs", "--format", "csv").output == "run\n0\n")
    #expect(try run("status", fixture.path).status == 0)
    #expect(try run("verify", fixture.path).status == 0)
  }

  @Test(arguments: ["empty", "truncated", "flipped", "foreign"])
  func `a bad file among the shards`(kind: String) throws {
    try fixture.generated("0..<3")
    let file = URL(fileURLWithPath: fixture.path + "/runs/000/000001.h5")
    var bytes = try Data(contentsOf: file)
    switch kind {
    case "empty": bytes = Data()
    case "truncated": bytes = bytes.prefix(bytes.count / 2)
    case "flipped": bytes[bytes.count / 2] ^= 1
    default: bytes = Data("nothing like HDF5".utf8)
    }
    try bytes.write(to: file)
    let verified = try Command.run("verify", fixture.path, "--quiet")
    #expect(verified.status == 1 && verified.error.contains("runs/000/000001.h5"), "\(verified.error)")
    let compacted = try Command.run("compact", fixture.path, "--quiet")
    #expect(compacted.status == 1 && compacted.error.contains("runs/000/000001.h5"))
    let indexed = try Command.run("index", fixture.path, "--quiet", "--rebuild")
    #expect(indexed.status == (kind == "flipped" ? 0 : 1))
    // The others are unharmed.
    #expect(
      try Command.run(
        "query", fixture.path, "SELECT run FROM runs WHERE run <> 1", "--format", "csv", "--stale"
      )
      .output == "run\n0\n2\n")
    // The remedy that the message names.
    try FileManager.default.removeItem(at: file)
    #expect(try fixture.generated("0..<3").status == 0)
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `an index that is missing, old or corrupt`() throws {
    try fixture.generated("0")
    let index = fixture.path + "/index.sqlite"
    let old = try Data(contentsOf: URL(fileURLWithPath: index))
    try fixture.generated("1")
    try FileManager.default.removeItem(atPath: index)
    expect(try Command.run("query", fixture.path, "SELECT 1"), says: "no index.sqlite", "corpus index")
    try old.write(to: URL(fileURLWithPath: index))
    expect(
      try Command.run("query", fixture.path, "SELECT 1"), says: "older", "runs/000/000001.h5", "corpus index")
    expect(try Command.run("status", fixture.path), says: "older", "corpus index")
    try Data("garbage, and more garbage than a header".utf8).write(to: URL(fileURLWithPath: index))
    expect(try Command.run("query", fixture.path, "SELECT 1"), says: "index.sqlite is corrupt", "--rebuild")
    expect(try fixture.generated("2"), says: "index.sqlite is corrupt", "--rebuild")
    #expect(try Command.run("index", "--rebuild", fixture.path).status == 0)
    #expect(try fixture.query("SELECT run FROM runs") == "run\n0\n1\n")
  }

  @Test func `images that are not there, or not what they should be`() throws {
    let data = fixture.temporary.path + "/data"
    func generate(_ more: String...) throws -> Command.Result {
      let command = Command(
        ["generate", "mnist", "--runs", "0", "--out", fixture.path, "--datasets", data] + more)
      try command.start()
      return command.finish()
    }
    expect(
      try generate(), says: "train-images-idx3-ubyte", data + "/mnist", "Scripts/fetch-datasets", "synthetic")
    expect(try generate("--dataset", "synthetic", "--epochs", "0"), says: "`epochs`")
    expect(try generate("--dataset", "synthetic", "--checkpoints", "20000"), says: "`checkpoints`", "11701")
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    for name in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
      try Data("not IDX".utf8).write(to: URL(fileURLWithPath: "\(data)/\(name)-ubyte"))
    }
    expect(try generate(), says: "\(data)/train-images-idx3-ubyte", "magic number")
    #expect(!FileManager.default.fileExists(atPath: fixture.path))
  }
}
