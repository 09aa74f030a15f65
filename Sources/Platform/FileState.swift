package import Corpus
import Glibc

/// What tells a file from another one, or from itself once it was changed.
package struct FileState: Equatable, Sendable {
  private let device: UInt
  private let number: UInt
  private let size: Int
  private let seconds: Int
  private let nanoseconds: Int

  private init(_ information: stat) {
    (device, number) = (information.st_dev, information.st_ino)
    size = information.st_size
    (seconds, nanoseconds) = (information.st_mtim.tv_sec, information.st_mtim.tv_nsec)
  }

  /// The state of what has this name; nil where nothing has.
  package init?(_ path: String) {
    var information = stat()
    guard stat(path, &information) == 0 else { return nil }
    self.init(information)
  }

  package init(of file: Descriptor) throws(CorpusError) {
    var information = stat()
    guard fstat(file.fd, &information) == 0 else { throw Files.error("read", file.path) }
    self.init(information)
  }

  /// Whether both are states of one file, changed or not.
  func isOfSameFile(as other: FileState) -> Bool { device == other.device && number == other.number }
}
