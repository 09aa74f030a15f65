import Glibc

/// A file's bytes in memory, read from the disk as they are touched; unmapped with its owner.
package final class FileMapping: @unchecked Sendable {
  // Sendable because the bytes are only read.
  package let bytes: UnsafeRawBufferPointer
  package let path: String

  /// Maps the whole of a file, which nobody may shorten while it is mapped.
  package init(opening path: String) throws(CorpusError) {
    let file = try Descriptor(opening: path, O_RDONLY)
    let size = try Int(Files.size(path))
    self.path = path
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    // The mapping outlives the descriptor, so a corpus of any number of files needs none of them open.
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, file.fd, 0), base != MAP_FAILED else {
      throw Files.error("read", path)
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
