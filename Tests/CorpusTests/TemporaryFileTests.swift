import Platform
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct TemporaryFileTests {
  private let temporary = TemporaryDirectory()

  private func names() throws -> [String] { try Files.names(in: temporary.path) }

  private func write(_ name: String, hoursAgo hours: Double = 0) throws {
    let path = temporary.path + "/" + name
    try Data("half".utf8).write(to: URL(fileURLWithPath: path))
    let date = Date(timeIntervalSinceNow: -3600 * hours)
    try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
  }

  /// The number of a process that has ended.
  private func endedProcess() throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/true")
    try process.run()
    process.waitUntilExit()
    return process.processIdentifier
  }

  @Test func `no two writers have one`() throws {
    let path = temporary.path + "/000001.h5"
    let paths = Set((0..<100).map { _ in TemporaryFile.path(for: path) })
    #expect(paths.count == 100)
    for path in paths {
      let name = Files.split(path).name
      #expect(name.hasPrefix(".000001.h5.") && name.contains(".\(getpid()).") && name.hasSuffix(".tmp"))
      #expect(TemporaryFile(name)?.name == "000001.h5")
    }
    let long = Files.split(TemporaryFile.path(for: String(repeating: "ü", count: 120) + ".npz")).name
    #expect(long.utf8.count <= 255 && TemporaryFile(long) != nil)
    #expect(TemporaryFile("000001.h5") == nil && TemporaryFile(".repair") == nil)
  }

  @Test func `what was left goes, and what somebody may be writing stays`() throws {
    let path = temporary.path + "/file.h5"
    let mine = Files.split(TemporaryFile.path(for: path)).name
    let host = mine.split(separator: ".")[2]
    let dead = try endedProcess()
    let elsewhere = ".file.h5.another-\(host).\(dead).abc.tmp"
    let other = ".other.h5.\(host).\(dead).abc.tmp"
    for name in [mine, elsewhere, other, "file.h5"] { try write(name) }
    try write(".file.h5.\(host).\(dead).abc.tmp")
    try write(".file.h5.another-\(host).7.abc.tmp", hoursAgo: 2)
    // A name as earlier versions gave it.
    try write(".file.h5.tmp")
    #expect(try TemporaryFile.removeLeftovers(of: path))
    #expect(try names() == [elsewhere, mine, other, "file.h5"].sorted())
    try FileManager.default.removeItem(atPath: temporary.path + "/" + mine)
    try write(elsewhere, hoursAgo: 2)
    #expect(try !TemporaryFile.removeLeftovers(of: path))
    #expect(try names() == [other, "file.h5"].sorted())
  }

  @Test func `writing a file removes what an earlier attempt left`() throws {
    let path = temporary.path + "/file"
    let host = Files.split(TemporaryFile.path(for: "x")).name.split(separator: ".")[1]
    try write(".file.\(host).\(try endedProcess()).abc.tmp")
    try Files.write(Data("whole".utf8), to: path)
    #expect(try names() == ["file"])
  }
}
