import Platform
package import Corpus
import CLinux
import Glibc

/// Who is making which run: byte-range locks on one file of the corpus, the byte's offset being the seed.
///
/// The kernel drops a lock when its process ends, however it ends, so a killed job leaves no run locked. The
/// locks are open-file-description locks (`fcntl` with `F_OFD_SETLK`), which also work between the machines of
/// a network file system with locking. Where nobody else works on the corpus, as ``CorpusDirectory/isAlone`` says,
/// there are none, and everybody gets every lock.
package final class RunLocks: Sendable {
  /// Held by whoever moves runs between shards, or mends shards.
  package static let compaction = SeedRange.limit
  /// Held by whoever replaces the index as a whole.
  package static let rebuild = SeedRange.limit + 1
  /// From here on nobody holds anything for more than a moment.
  private static let trials = SeedRange.limit + (1 << 32)

  /// Nil for who is alone.
  private let file: Descriptor?
  private let process = getpid()

  private init(file: Descriptor?) { self.file = file }

  deinit {
    // Closing is not enough: a process that is just being started has our descriptors until it runs its program. But a
    // process that was forked from ours lets go of nothing that is ours.
    if let file, getpid() == process { _ = clinux_unlock_all(file.fd) }
  }

  /// The locks of a directory; the file is made where it is missing, unless `isReadOnly`.
  package convenience init(directory: String, isReadOnly: Bool = false) throws(CorpusError) {
    self.init(
      file: try Descriptor(opening: "\(directory)/.lock", isReadOnly ? O_RDONLY : O_RDWR | O_CREAT))
  }

  /// The locks of a corpus.
  ///
  /// - Throws: `resource` if the file system's locks keep nobody out, unless `isReadOnly`.
  package convenience init(_ corpus: CorpusDirectory, isReadOnly: Bool = false) throws(CorpusError) {
    if corpus.isAlone {
      self.init(file: nil)
    } else {
      if !isReadOnly { try Self.requireLocks(corpus) }
      try self.init(directory: corpus.path, isReadOnly: isReadOnly)
    }
  }

  /// Takes a lock, unless another process has it.
  package func lock(_ offset: Int64) throws(CorpusError) -> Bool {
    guard let file else { return true }
    if clinux_lock(file.fd, offset) == 0 { return true }
    guard Self.isHeld(errno) else { throw Files.error("lock", file.path) }
    return false
  }

  package func unlock(_ offset: Int64) {
    if let file { _ = clinux_unlock(file.fd, offset) }
  }

  /// Whether another process, or another ``RunLocks`` of this one, has it.
  package func isLocked(_ offset: Int64) -> Bool {
    file.map { clinux_is_locked($0.fd, offset) == 1 } ?? false
  }

  /// Whether what `fcntl` says is that somebody else holds a lock.
  private static func isHeld(_ code: Int32) -> Bool { code == EAGAIN || code == EACCES }
}

extension RunLocks {
  /// Refuses to work beside others on a file system whose locks do not keep them apart: some have none, and some give
  /// one to whoever asks. What no process can find out is whether another machine would be kept out, too.
  package static func requireLocks(_ directory: CorpusDirectory) throws(CorpusError) {
    if directory.isAlone { return }
    let path = "\(directory.path)/.lock"
    let one = try Descriptor(opening: path, O_RDWR | O_CREAT)
    let other = try Descriptor(opening: path, O_RDWR)
    while true {
      // Others try at the same time.
      let byte = trials + Int64.random(in: 0..<(1 << 32))
      guard clinux_lock(one.fd, byte) == 0 else {
        if isHeld(errno) { continue }
        throw lacking(directory, "has no file locks", cause: String(cString: strerror(errno)))
      }
      guard clinux_lock(other.fd, byte) != 0 else {
        throw lacking(directory, "gives the same file lock to everybody", cause: nil)
      }
      return
    }
  }

  /// Whether who reads a corpus can lock files of it, as SQLite does.
  package static func areLocksThere(_ directory: CorpusDirectory) throws(CorpusError) -> Bool {
    // Never the index itself: closing it would drop the locks that this process's SQLite holds on it.
    let manifest = try Descriptor(opening: "\(directory.path)/corpus.json", O_RDONLY)
    return clinux_lock_shared(manifest.fd, trials) == 0 || isHeld(errno)
  }

  private static func lacking(_ directory: CorpusDirectory, _ what: String, cause: String?) -> CorpusError {
    CorpusError(
      .resource,
      "the file system of \(directory.path) \(what), and so nothing keeps apart who changes the corpus",
      remedy: "mount it with locks (NFS: with lockd, and without nolock; Lustre: with flock), use another "
        + "disk, or, if no other process works on this corpus, say so with --alone or the variable "
        + "CORPUS_ALONE=1", cause: cause)
  }
}

extension RunLocks {
  /// Removes the unfinished runs of killed jobs; those of living ones are locked.
  package func removeUnfinishedRuns(of directory: CorpusDirectory) throws(CorpusError) {
    for folder in try directory.runFolders() {
      try TemporaryFile.removeLeftovers(in: directory.absolute(folder)) { (name) throws(CorpusError) in
        guard let seed = CorpusDirectory.seed(ofRunFile: "\(folder)/\(name)"), try lock(seed) else {
          return false
        }
        // Whoever takes it from here on writes another file.
        unlock(seed)
        return true
      }
    }
  }

  /// The locks of a corpus, with the one for moving runs between shards taken.
  package static func lockingCompaction(_ directory: CorpusDirectory) throws(CorpusError) -> RunLocks {
    let locks = try RunLocks(directory)
    guard try locks.lock(compaction) else {
      throw CorpusError(
        .resource, "another process is compacting, repacking or repairing \(directory.path)",
        remedy: "wait until it has ended")
    }
    return locks
  }
}
