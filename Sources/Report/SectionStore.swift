import Corpus
import Foundation
import Platform

/// Keeps sections as they are computed, so that who is stopped, or adds a model, computes none of them twice.
///
/// A section's file is named by all that it depends on. Its first line is the SHA-256 of the rest; what does not have it
/// is computed anew.
struct SectionStore: Sendable {
  private let path: String

  /// - Parameter path: the directory, which is made when there is something to keep.
  init(_ path: String) { self.path = path }

  /// The name of a section of these dependencies.
  static func name(_ section: ReportSection, of dependencies: [String]) throws(CorpusError) -> String {
    var hash = try SHA256()
    for text in [section.rawValue] + dependencies {
      hash.update(UInt64(text.utf8.count))
      hash.update(Array(text.utf8))
    }
    return "\(section.rawValue)-\(ContentHash(bytes: hash.finish())).json"
  }

  func contents(_ name: String) -> Data? {
    guard let file = try? Files.contents("\(path)/\(name)", limit: 1 << 30),
      let end = file.firstIndex(of: UInt8(ascii: "\n"))
    else { return nil }
    let data = Data(file[file.index(after: end)...])
    return (try? Self.hash(data)) == String(decoding: file[..<end], as: UTF8.self) ? data : nil
  }

  func keep(_ data: Data, as name: String) throws(CorpusError) {
    try Files.createDirectory(path)
    try Files.write(Data((try Self.hash(data) + "\n").utf8) + data, to: "\(path)/\(name)")
  }

  /// A directory for what a section keeps of itself until it is complete.
  func scratch(_ name: String) -> String { "\(path)/\(name).unfinished" }

  func removeScratch(_ name: String) throws(CorpusError) { try Self.remove(scratch(name)) }

  /// Removes what belongs to earlier reports.
  func removeOthers(than names: Set<String>) throws(CorpusError) {
    for name in try Files.names(in: path)
    where !names.contains(name) && !names.contains(where: { name == "\($0).unfinished" }) {
      try Self.remove("\(path)/\(name)")
    }
  }

  /// Removes a file, or a directory with all that is in it.
  private static func remove(_ path: String) throws(CorpusError) {
    guard Files.exists(path) else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      throw CorpusError(
        .inputOutput, "cannot remove \(path)", remedy: "remove it yourself",
        cause: error.localizedDescription)
    }
  }

  private static func hash(_ data: Data) throws(CorpusError) -> String {
    var hash = try SHA256()
    hash.update(Array(data))
    return ContentHash(bytes: hash.finish()).description
  }
}
