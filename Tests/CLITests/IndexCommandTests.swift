import TestSupport
import Platform
import Corpus
import Foundation
import Testing

/// Somebody who has read one row of a query, as a cursor in a notebook, and goes on when he is told to.
private struct EndlessReader {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()

  init(_ fixture: CommandFixture) throws {
    let script = """
      import sqlite3, sys
      rows = sqlite3.connect(sys.argv[1]).execute("SELECT * FROM checkpoints")
      rows.fetchone()
      print("reading\\n", end="", flush=True)
      sys.stdin.read()
      print(1 + len(rows.fetchall()))
      """
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script, fixture.path + "/index.sqlite"]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "reading\n")
  }

  /// Lets him read the rest.
  ///
  /// - Returns: how many rows there were, in a line.
  func end() throws -> String {
    try input.fileHandleForWriting.close()
    defer { process.waitUntilExit() }
    return String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  }
}

/// The index beside those who read it.
@Suite(.temporaryDirectories) struct IndexCommandTests {
  private let fixture = CommandFixture()

  @Test func `a job ends beside a reader that never does, and its runs are taken up later`() throws {
    try fixture.generated("0..<3")
    let reader = try EndlessReader(fixture)
    let made = try fixture.generated("0..<9")
    #expect(made.status == 0 && made.output.contains("6 made now"))
    #expect(made.error.contains("6 runs are stored and not in the index"))
    #expect(try Command.run("query", fixture.path, "SELECT 1").error.contains("corpus index"))
    let again = try fixture.generated("0..<9")
    #expect(again.status == 0 && again.error.contains("6 runs are stored and not in the index"))

    #expect(try reader.end() == "12\n")
    #expect(try Command.run("index", fixture.path).output.contains("6 shards taken up"))
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `runs are sealed and repacked beside a reader that never ends`() throws {
    try fixture.generated("0..<5")
    let reader = try EndlessReader(fixture)
    for command in [["compact"], ["repack", "--codec", "zstd"]] {
      let done = try Command.run(command + [fixture.path])
      #expect(done.status == 0 && done.error.contains("run `corpus index"), "\(done)")
    }
    #expect(try Files.names(in: fixture.path + "/runs/000").isEmpty)
    #expect(try reader.end() == "20\n")
    #expect(try Command.run("index", fixture.path).output.contains("1 shard taken up"))
    #expect(try Command.run("verify", fixture.path).status == 0)
  }

  @Test func `who seals or repacks hears of runs that are missing`() throws {
    try fixture.generated("0..<5")
    try Files.remove(fixture.path + "/runs/000/000003.h5")
    for command in [["compact"], ["repack", "--codec", "zstd"]] {
      let done = try Command.run(command + [fixture.path])
      #expect(done.status == 1 && done.error.contains("runs/000/000003.h5"), "\(done)")
    }
    #expect(try fixture.query("SELECT count(*) FROM runs", ["--stale"]).hasSuffix("5\n"))
  }

  /// - Parameter width: of each of many rows, so that all of them fit into memory, or do not.
  @Test(arguments: [10, 1000])
  func `a query whose rows are not read keeps nobody waiting`(width: Int) throws {
    let rows = 40_000
    try fixture.generated("0..<3")
    let query = Process()
    query.executableURL = URL(fileURLWithPath: Command.path)
    query.arguments = [
      "query", fixture.path, "--format", "csv",
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
      SELECT (SELECT count(*) FROM checkpoints) AS c, printf('%0\(width)d', i) AS i FROM n
      """,
    ]
    let output = Pipe()
    query.standardOutput = output
    try query.run()
    var text = output.fileHandleForReading.availableData
    let made = try fixture.generated("0..<9")
    #expect(made.status == 0 && !made.error.contains("not in the index"))
    #expect(try fixture.query("SELECT count(*) FROM runs") == "count(*)\n9\n")

    text += output.fileHandleForReading.readDataToEndOfFile()
    query.waitUntilExit()
    #expect(query.terminationStatus == 0)
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == rows + 1 && lines[0] == "c,i")
    #expect(lines[rows].hasPrefix("12,0") && lines[rows].hasSuffix("0\(rows)"))
  }
}
