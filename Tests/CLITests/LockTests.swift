import Platform
import Corpus
import Foundation
import TestSupport
import Testing

/// File systems whose locks fail, or keep nobody out.
@Suite(.temporaryDirectories) struct LockTests {
  private static let library = Preloaded("locks")

  private func run(_ arguments: [String], locks: String, _ variables: [String] = []) throws -> Command.Result
  {
    try Command.run(arguments, wrapper: Self.library.wrapper(["LOCKS=\(locks)"] + variables))
  }

  /// A corpus of two sealed runs and two single ones.
  private func corpus() throws -> CommandFixture {
    let fixture = CommandFixture()
    try fixture.generated("0..<2")
    #expect(try Command.run("compact", fixture.path, "--quiet").status == 0)
    try fixture.generated("0..<4")
    return fixture
  }

  private func files(_ fixture: CommandFixture) throws -> [String] {
    try ["runs/000", "shards"].flatMap { folder in
      try Files.names(in: "\(fixture.path)/\(folder)").map {
        "\(folder)/\($0) \(try Files.size("\(fixture.path)/\(folder)/\($0)"))"
      }
    }
  }

  private func changes(_ fixture: CommandFixture) -> [[String]] {
    [
      ["generate", "cartpole", "--runs", "0..<5", "--out", fixture.path] + CommandFixture.tiny,
      ["index", fixture.path], ["index", "--rebuild", fixture.path], ["compact", fixture.path],
      ["repack", "--codec", "raw", fixture.path], ["repair", fixture.path],
    ]
  }

  @Test(arguments: ["ENOLCK", "ENOSYS", "granted"])
  func `who reads needs none`(locks: String) throws {
    let fixture = try corpus()
    for command in [
      ["query", fixture.path, "SELECT count(*) FROM checkpoints", "--format", "csv"],
      ["status", fixture.path], ["show", fixture.path, "1"], ["verify", fixture.path],
      ["stream", fixture.path, "--count", "2"],
      ["export", fixture.path, "--format", "npz", "--out", fixture.temporary.path + "/checkpoints.npz"],
    ] {
      let result = try run(command, locks: locks)
      #expect(result.status == 0, "\(command[0]): \(result)")
    }
  }

  @Test(arguments: ["ENOLCK", "ENOSYS", "granted"])
  func `who changes something says what is missing, unless alone`(locks: String) throws {
    let fixture = try corpus()
    let (before, hashes) = (try files(fixture), try fixture.hashes())
    for command in changes(fixture) {
      let result = try run(command, locks: locks)
      #expect(result.status == 1 && result.error.contains("the file system of"), "\(command[0]): \(result)")
      #expect(
        result.error.contains(locks == "granted" ? "same file lock to everybody" : "has no file locks"))
      #expect(result.error.contains("--alone") && result.error.contains("Lustre"))
      #expect(try files(fixture) == before, "\(command[0])")
    }
    for command in changes(fixture) {
      let result = try run(command + ["--alone"], locks: locks)
      #expect(result.status == 0, "\(command[0]): \(result)")
    }
    #expect(try fixture.hashes().hasPrefix(hashes))
    #expect(try fixture.query("SELECT sum(runs), count(DISTINCT codec) FROM shards").hasSuffix("5,1\n"))
    let rest = ["index", fixture.path]
    #expect(try run(rest, locks: locks, ["CORPUS_ALONE=1"]).status == 0)
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `who reads without a lock sees no half of a change`() throws {
    let fixture = try corpus()
    let query = ["query", fixture.path, "SELECT count(*) FROM runs"]
    // As a process that is at it, or was killed, has it.
    let journal = fixture.path + "/index.sqlite-journal"
    try Data(repeating: 1, count: 600).write(to: URL(fileURLWithPath: journal))
    let result = try run(query, locks: "ENOLCK")
    #expect(result.status == 1 && result.error.contains("is being changed"), "\(result)")
    #expect(try run(["index", fixture.path, "--alone"], locks: "ENOLCK").status == 0)
    #expect(try run(query, locks: "ENOLCK").status == 0)
  }

  @Test func `many who make the same runs without locks lose none`() throws {
    let fixture = CommandFixture()
    let commands = try (0..<6).map { _ in
      Command(
        ["generate", "cartpole", "--runs", "0..<30", "--out", fixture.path, "--alone", "--no-index"]
          + CommandFixture.tiny, wrapper: try Self.library.wrapper(["LOCKS=granted"]))
    }
    for command in commands { try command.start() }
    let results = commands.map { $0.finish() }
    #expect(results.allSatisfy { $0.status == 0 }, "\(results)")
    #expect(try Command.run("index", fixture.path).status == 0)
    #expect(try fixture.query("SELECT count(*) FROM runs").hasSuffix("30\n"))
    #expect(try Command.run("verify", fixture.path).status == 0)
    #expect(try Files.names(in: fixture.path + "/runs/000").count == 30)
  }
}
