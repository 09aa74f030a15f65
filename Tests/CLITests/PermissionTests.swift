import Corpus
import Foundation
import TestSupport
import Testing

/// Several people who share a corpus, and those who may not.
@Suite(.temporaryDirectories) struct PermissionTests {
  private let fixture = CommandFixture()

  private func mode(_ file: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: fixture.path + "/" + file)
    return try #require(attributes[.posixPermissions] as? NSNumber).intValue
  }

  /// The command as somebody else of a group; nil where this process may not become others.
  private func command(as user: Int) throws -> [String]? {
    guard getuid() == 0 else { return nil }
    let folder = fixture.temporary.path
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o2775, .groupOwnerAccountID: 54_321], ofItemAtPath: folder)
    return ["setpriv", "--reuid", "\(user)", "--regid", "54321", "--clear-groups"]
  }

  @Test func `a group's umask holds for the index, too`() throws {
    let first = try command(as: 12_345) ?? []
    let arguments = ["generate", "cartpole", "--out", fixture.path] + CommandFixture.tiny + ["--runs"]
    let made = try Command.run(arguments + ["0..<2"], shell: "umask 002;", wrapper: first)
    #expect(made.status == 0, "\(made)")
    for file in ["corpus.json", "index.sqlite", ".lock", "runs/000/000001.h5"] {
      #expect(try mode(file) == 0o664, "\(file)")
    }
    _ = try Command.run("index", "--rebuild", fixture.path, shell: "umask 002;", wrapper: first)
    #expect(try mode("index.sqlite") == 0o664)
    guard let second = try command(as: 12_346) else { return }
    let more = try Command.run(arguments + ["2..<4"], shell: "umask 002;", wrapper: second)
    #expect(more.status == 0, "\(more)")
    // Of an earlier release.
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o644], ofItemAtPath: fixture.path + "/index.sqlite")
    let refused = try Command.run(arguments + ["4..<6"], shell: "umask 002;", wrapper: first)
    let isOwner = refused.status == 0
    let other = try Command.run(
      arguments + ["6..<8"], shell: "umask 002;", wrapper: isOwner ? second : first)
    let denied = isOwner ? other : refused
    #expect(
      denied.status == 1 && denied.error.contains("no permission") && denied.error.contains("chmod g+w"))
    for user in [first, second] {
      #expect(
        try Command.run("index", "--rebuild", fixture.path, shell: "umask 002;", wrapper: user).status == 0)
      #expect(try Command.run(arguments + ["8..<10"], shell: "umask 002;", wrapper: user).status == 0)
    }
  }

  @Test func `what is hidden from somebody is not called missing`() throws {
    try fixture.generated("0..<2")
    let other = try command(as: 12_345) ?? []
    for hidden in [fixture.temporary.path, fixture.path, fixture.path + "/corpus.json"] {
      let before = try FileManager.default.attributesOfItem(atPath: hidden)[.posixPermissions]
      try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: hidden)
      for arguments in [
        ["status", fixture.path], ["query", fixture.path, "SELECT 1"], ["stream", fixture.path],
        ["generate", "cartpole", "--runs", "0..<2", "--out", fixture.path] + CommandFixture.tiny,
      ] {
        let answer = try Command.run(arguments, wrapper: other)
        #expect(answer.status == 1 && answer.error.contains("no permission"), "\(arguments) \(answer)")
        #expect(!answer.error.contains("not a corpus") && !answer.error.contains("no directory"))
      }
      try FileManager.default.setAttributes([.posixPermissions: before as Any], ofItemAtPath: hidden)
    }
  }
}
