import TestSupport
import Platform
import Corpus
import Foundation
import Testing

@Suite(.temporaryDirectories) struct CrashTests {
  @Test func `goes on after every kill, to the same runs`() throws {
    let undisturbed = CommandFixture()
    try undisturbed.generated("0..<8", CommandFixture.short)
    let killed = CommandFixture()
    var random = PhiloxGenerator(seed: 1)
    for _ in 0..<8 {
      let command = killed.generate("0..<8", CommandFixture.short)
      try command.start()
      Thread.sleep(forTimeInterval: 0.02 + 0.3 * Double(random.uniform()))
      kill(command.process.processIdentifier, SIGKILL)
      _ = command.finish()
    }
    #expect(try killed.generated("0..<8", CommandFixture.short).status == 0)
    #expect(try killed.hashes() == undisturbed.hashes())
    #expect(try Command.run("verify", killed.path).status == 0)
    #expect(try Command.run("compact", killed.path).status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: killed.path + "/runs/000") == [])
  }

  /// Ctrl-C, the end of a job, and a terminal that is closed.
  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func `stops cleanly on a signal and goes on where it was`(signal: Int32) throws {
    let fixture = CommandFixture()
    let command = fixture.generate("0..<200", CommandFixture.short)
    try command.start()
    // However long the first run takes on a busy machine.
    while try Files.names(in: fixture.path + "/runs/000").allSatisfy({ $0.hasPrefix(".") }),
      command.process.isRunning
    {
      Thread.sleep(forTimeInterval: 0.05)
    }
    // Twice, as `timeout` does: to a process, and to its group.
    for _ in 0..<2 {
      kill(command.process.processIdentifier, signal)
      Thread.sleep(forTimeInterval: 0.02)
    }
    let result = command.finish()
    #expect(result.status == 130 && result.error.contains("same command"))
    #expect(try Command.run("verify", fixture.path).status == 0)
    let made =
      try fixture.query("SELECT count(*) FROM runs").split(separator: "\n").last.flatMap { Int($0) } ?? 0
    #expect((1..<200).contains(made))
    let again = try fixture.generated("0..<\(made + 1)", CommandFixture.short)
    #expect(again.output.contains("1 made now") && again.output.contains("\(made) there before"))
  }

  @Test func `ignores what it was started to ignore`() throws {
    let fixture = CommandFixture()
    let command = Command(
      ["generate", "cartpole", "--runs", "0..<3", "--out", fixture.path] + CommandFixture.short,
      shell: "trap '' INT HUP;")
    try command.start()
    while try Files.names(in: fixture.path + "/runs/000").allSatisfy({ $0.hasPrefix(".") }),
      command.process.isRunning
    {
      Thread.sleep(forTimeInterval: 0.05)
    }
    for signal in [SIGINT, SIGHUP] { kill(command.process.processIdentifier, signal) }
    let result = command.finish()
    #expect(result.status == 0 && result.output.contains("3 made now"), "\(result)")
  }

  @Test func `everything in a group's directory is the group's`() throws {
    let fixture = CommandFixture()
    let command = Command(
      ["generate", "cartpole", "--runs", "0..<2", "--out", fixture.path] + CommandFixture.tiny,
      shell: "umask 002;")
    try command.start()
    #expect(command.finish().status == 0)
    #expect(try Command.run("compact", fixture.path, "--quiet", shell: "umask 002;").status == 0)
    for name in ["index.sqlite", ".lock", "corpus.json", "shards/000000-000001.h5", "shards", "runs"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(fixture.path)/\(name)")
      let mode = try #require(attributes[.posixPermissions] as? Int)
      #expect(mode & 0o060 == 0o060, "\(name) has the mode \(String(mode, radix: 8))")
    }
  }

  @Test func `shares a range between two processes`() throws {
    let fixture = CommandFixture()
    let commands = (0..<2).map { _ in fixture.generate("0..<10", CommandFixture.short, ["--workers", "1"]) }
    for command in commands { try command.start() }
    let results = commands.map { $0.finish() }
    #expect(results.allSatisfy { $0.status == 0 }, "\(results)")
    #expect(try fixture.query("SELECT count(*), count(DISTINCT run) FROM runs").hasSuffix("10,10\n"))
    #expect(try Command.run("verify", fixture.path).status == 0)
    let made = results.flatMap { $0.output.matches(of: /(\d+) made now/).compactMap { Int($0.1) } }
    #expect(made.reduce(0, +) == 10, "each run is made once")
  }

  @Test func `makes each run once while another process compacts`() throws {
    let fixture = CommandFixture()
    let commands = (0..<2).map { _ in fixture.generate("0..<40", CommandFixture.tiny, ["--workers", "1"]) }
    for command in commands { try command.start() }
    while commands.contains(where: \.process.isRunning) {
      _ = try Command.run("compact", fixture.path, "--quiet")
    }
    #expect(commands.allSatisfy { $0.finish().status == 0 })
    #expect(try Command.run("compact", fixture.path).status == 0)
    #expect(
      try fixture.query(
        "SELECT count(*), count(DISTINCT run), sum(runs) FROM runs, (SELECT sum(runs) AS runs FROM shards)"
      ).hasSuffix("40,40,1600\n"))
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `goes on while another process rebuilds the index`() throws {
    let fixture = CommandFixture()
    let command = fixture.generate("0..<60", CommandFixture.tiny, ["--workers", "1"])
    try command.start()
    while command.process.isRunning { _ = try Command.run("index", "--rebuild", fixture.path, "--quiet") }
    #expect(command.finish().status == 0)
    #expect(try Command.run("verify", fixture.path).status == 0)
    #expect(try fixture.query("SELECT count(*) FROM runs").hasSuffix("60\n"))
  }

  @Test func `lets one of two recipes win a new directory`() throws {
    for _ in 0..<3 {
      let fixture = CommandFixture()
      let commands = [
        fixture.generate("0..<3"),
        fixture.generate("3..<6", ["--iterations", "7", "--checkpoints", "4", "--environments", "32"]),
      ]
      for command in commands { try command.start() }
      let statuses = commands.map { $0.finish().status }
      #expect(statuses.sorted() == [0, 1])
      #expect(try Command.run("verify", fixture.path).status == 0)
    }
  }

  @Test func `takes over the runs of a process that dies`() throws {
    let fixture = CommandFixture()
    let first = fixture.generate("0..<4", CommandFixture.short, ["--workers", "2"])
    try first.start()
    Thread.sleep(forTimeInterval: 0.15)
    let second = fixture.generate("0..<4", CommandFixture.short, ["--workers", "2"])
    try second.start()
    Thread.sleep(forTimeInterval: 0.1)
    kill(first.process.processIdentifier, SIGKILL)
    _ = first.finish()
    #expect(second.finish().status == 0)
    #expect(try fixture.query("SELECT count(*) FROM runs").hasSuffix("4\n"))
  }
}
