import Corpus
import Foundation
import MetricIndex
import TestSupport
import Testing

/// Commands that give up one copy of a run for another, while a bit flips in what they read or write.
@Suite(.temporaryDirectories) struct FlippedBitTests {
  private static let library = Preloaded("flip")

  /// `CORPUS_FLIPS` of them for each command and kind of call, for who wants to be surer than a test can be.
  private static let tries = ProcessInfo.processInfo.environment["CORPUS_FLIPS"].flatMap { Int($0) } ?? 10

  @Test(
    arguments: [["compact"], ["repack", "--codec", "raw"], ["repack", "--codec", "zstd"]], ["read", "write"])
  func `no run is lost`(command: [String], kind: String) throws {
    let fixture = CommandFixture()
    try fixture.generated("0..<4", ["--iterations", "30", "--checkpoints", "31", "--environments", "32"])
    if command[0] == "repack" { #expect(try Command.run("compact", fixture.path, "--quiet").status == 0) }
    let hashes = try fixture.hashes()
    let original = fixture.temporary.path + "/original"
    try FileManager.default.copyItem(atPath: fixture.path, toPath: original)
    let mark = fixture.temporary.path + "/flipped"
    // About so many calls there are at least.
    let calls = kind == "read" ? 60 : 16
    var (flipped, refused) = (0, 0)
    for number in 1...Self.tries {
      try FileManager.default.removeItem(atPath: fixture.path)
      try FileManager.default.copyItem(atPath: original, toPath: fixture.path)
      try? FileManager.default.removeItem(atPath: mark)
      let settings = [
        "FLIP_BELOW=\(fixture.path)", "FLIP_CALL=\(kind)",
        "FLIP_NUMBER=\(1 + (number - 1) * calls / Self.tries)", "FLIP_PERMILLE=\(number * 137 % 1000)",
        "FLIP_MARK=\(mark)",
      ]
      let result = try Command.run(
        [command[0], fixture.path, "--quiet"] + command.dropFirst(), wrapper: Self.library.wrapper(settings))
      flipped += FileManager.default.fileExists(atPath: mark) ? 1 : 0
      refused += result.status == 0 ? 0 : 1
      let verified = try Command.run("verify", fixture.path, "--quiet")
      let isOnlyIndex = verified.error.contains("index.sqlite")
      #expect(verified.status == 0 || isOnlyIndex, "\(settings): \(verified.error); before: \(result.error)")
      // What the index took up from a flipped read is derived, and made again.
      if isOnlyIndex { #expect(try Command.run("index", fixture.path, "--rebuild", "--quiet").status == 0) }
      #expect(try fixture.hashes() == hashes, "\(settings): \(result.error)")
    }
    #expect(flipped > Self.tries / 2, "the flips do not reach the command")
    #expect(refused > 0)
  }
}
