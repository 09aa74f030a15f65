import CLinux
import Glibc

/// Who is making which run: byte-range locks on one file of the corpus, the byte's offset being the seed.
///
/// The kernel drops a lock when its process ends, however it ends, so a killed job leaves no claim behind. The
/// locks are open-file-description locks (`fcntl` with `F_OFD_SETLK`), which also work between the machines of
/// a network file system with locking.
package final class Claims: Sendable {
  /// Held by whoever moves runs between shards, or mends shards.
  package static let compaction = SeedRange.limit
  /// Held by whoever replaces the index as a whole.
  package static let rebuild = SeedRange.limit + 1

  private let file: Descriptor

  /// The claims of a corpus; the file is made where it is missing, unless `readOnly`.
  package init(directory: String, readOnly: Bool = false) throws(CorpusError) {
    file = try Descriptor(opening: "\(directory)/.lock", readOnly ? O_RDONLY : O_RDWR | O_CREAT)
  }

  /// Takes a claim, unless another process has it.
  package func take(_ offset: Int64) throws(CorpusError) -> Bool {
    if clinux_lock(file.fd, offset) == 0 { return true }
    guard errno == EAGAIN || errno == EACCES else { throw Files.error("lock", file.path) }
    return false
  }

  package func release(_ offset: Int64) {
    _ = clinux_unlock(file.fd, offset)
  }

  /// Whether another process, or another ``Claims`` of this one, has it.
  package func isTaken(_ offset: Int64) -> Bool {
    clinux_is_locked(file.fd, offset) == 1
  }
}
