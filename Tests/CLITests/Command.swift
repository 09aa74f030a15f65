import Corpus
import Foundation
import TestSupport

/// Runs the real `corpus` command, as built beside the tests.
struct Command {
  struct Result {
    let status: Int32
    let output: String
    let error: String
  }

  let process = Process()
  private let output = Pipe()
  private let error = Pipe()

  static var executable: String {
    ProcessInfo.processInfo.environment["CORPUS"]
      ?? Bundle.main.bundleURL.deletingLastPathComponent().appendingPathComponent("corpus").path
  }

  /// - Parameter shell: what a shell does before it becomes the command, such as `ulimit -f 8;`.
  init(_ arguments: [String], shell: String = "", wrapper: [String] = []) {
    // A script's background jobs ignore these, and so would the commands that tests start and stop.
    for number in [SIGINT, SIGHUP] { signal(number, SIG_DFL) }
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments =
      ["-c", shell + " exec \"$@\"", "sh"] + wrapper + [Command.path] + arguments
    process.standardOutput = output
    process.standardError = error
    process.standardInput = FileHandle.nullDevice
  }

  static let path: String = {
    let beside = executable
    if FileManager.default.isExecutableFile(atPath: beside) { return beside }
    let build = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent(".build/release/corpus")
    return build.path
  }()

  func start() throws { try process.run() }

  func finish() -> Result {
    let out = output.fileHandleForReading
    let err = error.fileHandleForReading
    // Both pipes at once: a full one would stop the command.
    let reader = DispatchQueue(label: "standard error")
    nonisolated(unsafe) var errorData = Data()
    let group = DispatchGroup()
    reader.async(group: group) { errorData = err.readDataToEndOfFile() }
    let outputData = out.readDataToEndOfFile()
    group.wait()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
      error: String(decoding: errorData, as: UTF8.self))
  }

  static func run(_ arguments: String..., shell: String = "", wrapper: [String] = []) throws -> Result {
    try run(arguments, shell: shell, wrapper: wrapper)
  }

  static func run(_ arguments: [String], shell: String = "", wrapper: [String] = []) throws -> Result {
    let command = Command(arguments, shell: shell, wrapper: wrapper)
    try command.start()
    return command.finish()
  }
}

/// A place for a corpus of very short Cartpole runs.
struct CommandFixture {
  let temporary = TemporaryDirectory()
  var path: String { temporary.path + "/corpus" }

  /// Runs of a few milliseconds.
  static let tiny = ["--iterations", "6", "--checkpoints", "4", "--environments", "32"]
  /// Runs of some tenths of a second: time enough to be killed in.
  static let short = ["--iterations", "300", "--checkpoints", "20", "--environments", "32"]

  func generate(_ runs: String, _ recipe: [String] = tiny, _ more: [String] = []) -> Command {
    Command(["generate", "cartpole", "--runs", runs, "--out", path] + recipe + more)
  }

  @discardableResult
  func generated(_ runs: String, _ recipe: [String] = tiny, _ more: [String] = []) throws -> Command.Result {
    let command = generate(runs, recipe, more)
    try command.start()
    return command.finish()
  }

  func query(_ sql: String, _ more: [String] = []) throws -> String {
    try Command.run(["query", path, sql, "--format", "csv"] + more).output
  }

  /// The content hashes of all runs, from the index.
  func hashes() throws -> String { try query("SELECT run, content_hash FROM runs ORDER BY run") }
}
