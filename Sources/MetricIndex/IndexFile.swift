import Platform
import Foundation

/// How SQLite finds an index.
enum IndexFile {
  /// What SQLite opens: the path, or a URI that tells it to do without locks, for who is alone, or reads where a file
  /// system has none.
  static func locator(_ path: String, withoutLocks: Bool) -> String {
    guard withoutLocks else { return path }
    // A URI's path is absolute, or may be taken for a host.
    let absolute = Files.absolute(path)
    var allowed = CharacterSet.urlPathAllowed
    allowed.remove(charactersIn: ";%?#")
    let escaped = absolute.addingPercentEncoding(withAllowedCharacters: allowed) ?? absolute
    return "file://\(escaped)?vfs=unix-none"
  }
}

/// The state of an index that no lock protects: what is read meanwhile is of one piece if it stays the same.
struct UnlockedState: Equatable {
  private let file: FileState?
  /// Whether somebody is changing it, or was killed while doing so.
  let isChanging: Bool

  init(_ path: String) {
    file = FileState(path)
    isChanging = Files.exists(path + "-journal")
  }
}
