package import Corpus
import CLinux
import Glibc

/// A file's bytes in memory, read from the disk as they are touched; unmapped with its owner.
///
/// Somebody may shorten the file meanwhile, or the disk may fail. Then pages that can no longer be filled are zeros, and
/// ``isTorn`` says so: who has read bytes asks for it before believing them. But where the file now ends within a page, the
/// rest of that page is zeros, and nothing tells: who has read bytes of which the last is a zero asks ``isUnchanged()``.
package final class FileMapping: @unchecked Sendable {
  // Sendable because the bytes are only read.
  package let bytes: UnsafeRawBufferPointer
  package let path: String
  private let guarding: OpaquePointer?
  /// As the file was when it was mapped.
  private let state: FileState

  /// Maps the whole of a file.
  package convenience init(opening path: String) throws(CorpusError) {
    let file = try Descriptor(opening: path, O_RDONLY)
    try self.init(file, bytes: Int(Files.size(path)))
  }

  /// Maps the beginning of an open file.
  ///
  /// - Parameter count: how many bytes of it, which may be none.
  package init(_ file: Descriptor, bytes count: Int) throws(CorpusError) {
    path = file.path
    state = try FileState(of: file)
    guard count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      guarding = nil
      return
    }
    // The mapping outlives the descriptor, so a corpus of any number of files needs none of them open.
    guard let base = mmap(nil, count, PROT_READ, MAP_SHARED, file.fd, 0), base != MAP_FAILED else {
      throw Files.error("read", path)
    }
    bytes = UnsafeRawBufferPointer(start: base, count: count)
    guarding = clinux_guard_pages(base, count)
  }

  deinit {
    if let guarding { clinux_end_guard(guarding) }
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }

  /// Whether bytes have turned to zeros that the file could no longer give.
  package var isTorn: Bool { Self.isAnyTorn && guarding.map { clinux_is_torn($0) != 0 } ?? false }

  /// Asks the file system whether the file is as it was when it was mapped, or gone from its name and so out of reach; if
  /// not, it is torn.
  package func isUnchanged() -> Bool {
    if let now = FileState(path), now.isOfSameFile(as: state), now != state {
      if let guarding { clinux_tear(guarding) }
      return false
    }
    return !isTorn
  }

  /// Whether that has ever happened to any file: the question that costs nothing.
  package static var isAnyTorn: Bool { clinux_is_any_torn() != 0 }
}
