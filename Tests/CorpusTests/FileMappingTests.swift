import Platform
import Corpus
import Foundation
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct FileMappingTests {
  private let folder = TemporaryDirectory()

  private func mapped(bytes: Int) throws -> (mapping: FileMapping, path: String) {
    let path = folder.path + "/file"
    try Data(repeating: 7, count: bytes).write(to: URL(filePath: path))
    return (try FileMapping(opening: path), path)
  }

  /// No page is out of reach, so nothing faults.
  @Test func `a file that is cut within its last page is found out`() throws {
    let (mapping, path) = try mapped(bytes: 3 * 4096)
    #expect(mapping.isUnchanged() && !mapping.isTorn)
    #expect(truncate(path, 3 * 4096 - 100) == 0)
    #expect(mapping.bytes.last == 0 && !mapping.isTorn)
    #expect(!mapping.isUnchanged() && mapping.isTorn)
  }

  @Test func `a file that is written to is found out, also where it is as long again`() throws {
    let (mapping, path) = try mapped(bytes: 5000)
    // Clocks of file systems go by ticks.
    Thread.sleep(forTimeInterval: 0.02)
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    try file.truncate(atOffset: 0)
    try file.write(contentsOf: Data(repeating: 7, count: 5000))
    try file.close()
    #expect(!mapping.isUnchanged() && mapping.isTorn)
  }

  /// As compaction and repacking do with shards.
  @Test(arguments: [true, false])
  func `a file that is removed or replaced stays as it was`(isReplaced: Bool) throws {
    let (mapping, path) = try mapped(bytes: 5000)
    try FileManager.default.removeItem(atPath: path)
    if isReplaced { try Data(count: 10).write(to: URL(filePath: path)) }
    #expect(mapping.isUnchanged() && mapping.bytes.allSatisfy { $0 == 7 })
  }
}
