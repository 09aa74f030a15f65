package import Corpus
import Glibc

/// The name of a file that is being written: hidden, and no `.h5`, so that no reader takes it up.
///
/// It says who writes it, by host, process and a random number: no two writers ever share one, whether or not the file
/// system has locks that would keep them apart, and what a killed process has left can be told from what lives.
package struct TemporaryFile: Hashable, Sendable {
  /// The name that the file is to have.
  package let name: String
  /// Nil in the names that earlier versions gave.
  let writer: Writer?

  struct Writer: Hashable, Sendable {
    let host: String
    let process: Int32
  }

  /// How long a file counts as being written after it was last changed, where nobody here can tell whether its writer
  /// lives, in seconds.
  private static let patience = 3600

  /// A new path, beside the one that the file is to have.
  package static func path(for path: String) -> String {
    let (directory, name) = Files.split(path)
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    let ending = ".\(host).\(getpid()).\(random).tmp"
    // A name has at most 255 bytes.
    var kept = name[...]
    while kept.utf8.count + ending.utf8.count > 254 { kept.removeLast() }
    return "\(directory)/.\(kept)\(ending)"
  }

  /// Reads a file's name; nil for what is no temporary file's.
  package init?(_ file: String) {
    guard file.hasPrefix("."), file.hasSuffix(".tmp") else { return nil }
    let stem = file.dropFirst().dropLast(4)
    let parts = stem.split(separator: ".", omittingEmptySubsequences: false)
    if parts.count > 3, let process = Int32(parts[parts.count - 2]), process > 0,
      UInt64(parts[parts.count - 1], radix: 36) != nil
    {
      name = parts.dropLast(3).joined(separator: ".")
      writer = Writer(host: String(parts[parts.count - 3]), process: process)
    } else {
      name = String(stem)
      writer = nil
    }
  }

  /// Removes what killed processes have left in a directory: files, and directories of files.
  ///
  /// - Parameter isOurs: whether one is ours to remove, by the name that it was to have. Where locks tell who is at
  ///   work, they say it here; where they do not, what a living process may still be writing stays all the same.
  /// - Returns: whether some of ours may still be written.
  @discardableResult
  package static func removeLeftovers(
    in directory: String, where isOurs: (_ name: String) throws(CorpusError) -> Bool
  ) throws(CorpusError) -> Bool {
    var isAnyAlive = false
    for file in (try? Files.names(in: directory)) ?? [] {
      guard let temporary = TemporaryFile(file), try isOurs(temporary.name) else { continue }
      let path = "\(directory)/\(file)"
      if temporary.mayBeAlive(path) {
        isAnyAlive = true
      } else {
        // What cannot be removed, as somebody else's, is in nobody's way.
        try? Files.isDirectory(path) ? Files.removeFolder(path) : Files.remove(path)
      }
    }
    return isAnyAlive
  }

  /// Removes what killed processes have left of a file that they wrote.
  ///
  /// - Returns: whether somebody may still be writing it.
  @discardableResult
  package static func removeLeftovers(of path: String) throws(CorpusError) -> Bool {
    let (directory, name) = Files.split(path)
    return try removeLeftovers(in: directory) { $0 == name }
  }

  /// Whether the writer may still be at work.
  private func mayBeAlive(_ path: String) -> Bool {
    guard let writer else { return false }
    if writer.host == Self.host, kill(writer.process, 0) != 0, errno == ESRCH { return false }
    // On another host; or another process has got its number.
    var information = stat()
    guard lstat(path, &information) == 0 else { return false }
    return time(nil) - information.st_mtim.tv_sec < Self.patience
  }

  /// This machine's name, as far as letters, digits and hyphens go.
  package static let host: String = {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
    let letters = buffer.prefix { $0 != 0 }.prefix(32).map { byte in
      let letter = Character(Unicode.Scalar(UInt8(bitPattern: byte)))
      return letter.isASCII && (letter.isLetter || letter.isNumber) ? letter : "-"
    }
    return letters.isEmpty ? "unknown" : String(letters)
  }()
}
