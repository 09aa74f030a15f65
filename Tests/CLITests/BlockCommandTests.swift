import Corpus
import Foundation
import Platform
import TestSupport
import Testing

/// `corpus generate --seal-every`: many machines, one network directory.
@Suite(.temporaryDirectories) struct BlockCommandTests {
  private static let locks = Preloaded("locks")
  private static let wrong = Preloaded("wrong")

  private func blocks(_ fixture: CommandFixture, _ size: Int = 4) -> [String] {
    ["--seal-every", "\(size)", "--scratch", fixture.temporary.path + "/scratch", "--lease", "2"]
  }

  private func names(_ fixture: CommandFixture, _ folder: String) throws -> [String] {
    try Files.names(in: "\(fixture.path)/\(folder)").filter { !$0.hasPrefix(".") }
  }

  @Test func `goes on after every kill, to the same runs in as many files`() throws {
    let undisturbed = CommandFixture()
    try undisturbed.generated("0..<8", CommandFixture.short)
    let killed = CommandFixture()
    var random = PhiloxGenerator(seed: 2)
    for _ in 0..<8 {
      let pair = (0..<2).map { _ in killed.generate("0..<8", CommandFixture.short, blocks(killed)) }
      for command in pair { try command.start() }
      Thread.sleep(forTimeInterval: 0.05 + 0.4 * Double(random.uniform()))
      for command in pair { kill(command.process.processIdentifier, SIGKILL) }
      // The end of one process would interrupt reading from the other one.
      for command in pair { command.process.waitUntilExit() }
      for command in pair { _ = command.finish() }
      #expect(try names(killed, "runs") == [] && names(killed, "shards").count <= 2)
    }
    let result = try killed.generated("0..<8", CommandFixture.short, blocks(killed))
    #expect(result.status == 0, "\(result)")
    #expect(try names(killed, "shards") == ["000000-000003.h5", "000004-000007.h5"])
    #expect(try names(killed, "claims") == [])
    #expect(try Command.run("index", killed.path).status == 0)
    #expect(try killed.hashes() == undisturbed.hashes())
    #expect(try Command.run("verify", killed.path).status == 0)
  }

  @Test(arguments: [SIGINT, SIGTERM]) func `gives up its claims on a signal`(signal: Int32) throws {
    let fixture = CommandFixture()
    let command = fixture.generate("0..<400", CommandFixture.short, blocks(fixture, 100))
    try command.start()
    while try Files.names(in: fixture.path + "/claims").allSatisfy({ $0.hasPrefix(".") }),
      command.process.isRunning
    {
      Thread.sleep(forTimeInterval: 0.02)
    }
    kill(command.process.processIdentifier, signal)
    let result = command.finish()
    #expect(result.status == 130 && result.error.contains("same command"), "\(result)")
    #expect(try names(fixture, "claims") == [])
  }

  @Test(arguments: ["ENOLCK", "ENOSYS", "granted"])
  func `needs no file locks`(locks: String) throws {
    let fixture = CommandFixture()
    let expected = CommandFixture()
    try expected.generated("0..<6")
    let arguments =
      ["generate", "cartpole", "--runs", "0..<6", "--out", fixture.path] + CommandFixture.tiny
      + blocks(fixture)
    let wrapper = try Self.locks.wrapper(["LOCKS=\(locks)"])
    let result = try Command.run(arguments, wrapper: wrapper)
    #expect(result.status == 0, "\(result)")
    #expect(try names(fixture, "shards") == ["000000-000003.h5", "000004-000005.h5"])
    #expect(try Command.run("index", fixture.path).status == 0)
    #expect(try fixture.hashes() == expected.hashes())
  }

  @Test func `ends with status 70 on a machine that computes wrongly, and leaves a note`() throws {
    let fixture = CommandFixture()
    let arguments =
      ["generate", "cartpole", "--runs", "0..<6", "--out", fixture.path] + CommandFixture.tiny
      + blocks(fixture)
    let result = try Command.run(arguments, wrapper: Self.wrong.wrapper(["CORPUS_KERNELS=portable"]))
    #expect(result.status == 70 && result.error.contains("computes wrongly"), "\(result)")
    #expect(try names(fixture, "shards") == [])
    let notes = try names(fixture, "claims")
    #expect(notes.count == 1 && notes[0].hasSuffix(".failed"))
    // Once it is mended, the note goes.
    #expect(try Command.run(arguments).status == 0)
    #expect(try names(fixture, "claims") == [])
  }

  @Test func `says what is wrong with its options and its scratch directory`() throws {
    let fixture = CommandFixture()
    #expect(try fixture.generated("0..<2", CommandFixture.tiny, ["--scratch", "/nowhere"]).status == 64)
    for bad in [["--seal-every", "0"], ["--seal-every", "4", "--lease", "0"]] {
      #expect(try fixture.generated("0..<2", CommandFixture.tiny, bad).status == 64)
    }
    let file = fixture.temporary.path + "/file"
    try Data().write(to: URL(fileURLWithPath: file))
    let result = try fixture.generated(
      "0..<2", CommandFixture.tiny, ["--seal-every", "4", "--scratch", file])
    #expect(result.status == 1 && result.error.contains(file), "\(result)")
    #expect(try names(fixture, "claims") == [])
  }
}
