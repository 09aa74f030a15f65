package import Corpus
import CLinux
package import Foundation
import Glibc

/// The few system calls that storing things safely stands on, with errors that name the file.
package enum Files {
  /// The error for what errno says now about an action on a path, such as "write".
  package static func error(_ action: String, _ path: String, errno code: Int32 = errno) -> CorpusError {
    let cause = String(cString: strerror(code))
    switch code {
    case ENOSPC, EDQUOT, EFBIG:
      return CorpusError(
        .diskFull, "cannot \(action) \(path): the disk is full",
        remedy: "free some space and run the same command again; nothing stored was lost", cause: cause)
    case EROFS, EACCES, EPERM:
      let remedy =
        action.hasPrefix("read")
        ? "make it readable for you" : "make the directory writable for you, or choose another"
      return CorpusError(
        .readOnly, "cannot \(action) \(path): no permission", remedy: remedy, cause: cause)
    case ENOENT:
      return CorpusError(
        .inputOutput, "cannot \(action) \(path): it does not exist", remedy: "check the path", cause: cause)
    case EMFILE, ENFILE:
      return CorpusError(
        .resource, "cannot \(action) \(path): too many open files", remedy: "raise `ulimit -n`", cause: cause)
    default:
      return CorpusError(
        .inputOutput, "cannot \(action) \(path)", remedy: "check the path and the disk", cause: cause)
    }
  }

  /// Writes a file so that it is there as a whole or not at all, also after a power cut.
  package static func write(
    _ data: Data, to path: String, replacing: Bool = true
  ) throws(CorpusError) {
    // Of those who write the same file at once the last one wins, whole.
    try TemporaryFile.removeLeftovers(of: path)
    let temporary = TemporaryFile.path(for: path)
    do throws(CorpusError) {
      let file = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL)
      try file.writeAll(data)
      try file.synchronize()
      file.forgetCache()
      guard try file.holds([UInt8](data), at: 0) else { throw readBackFailure(path) }
    } catch {
      unlink(temporary)
      throw error
    }
    try publish(temporary, as: path, replacing: replacing)
  }

  /// The refusal to give a file its name, and another one up for it, that does not hold what was written.
  package static func readBackFailure(_ path: String) -> CorpusError {
    CorpusError(
      .inputOutput, "what was written to \(path) does not read back as it was",
      remedy:
        "the disk or the memory is failing; nothing was replaced for it: run the same command again, best on "
        + "another machine")
  }

  /// Gives a complete temporary file its name: fsync, rename, fsync of the directory.
  ///
  /// - Parameter replacing: whether a file that has the name already may go.
  package static func publish(
    _ temporary: String, as path: String, replacing: Bool = true
  ) throws(CorpusError) {
    do {
      try Descriptor(opening: temporary, O_RDONLY).synchronize()
    } catch {
      unlink(temporary)
      throw error
    }
    guard clinux_rename(temporary, path, replacing ? 1 : 0) == 0 else {
      let failure =
        errno == EEXIST
        ? CorpusError(
          .alreadyExists, "\(path) is there already", remedy: "look at what it holds with `corpus verify`")
        : error("write", path)
      unlink(temporary)
      throw failure
    }
    try synchronizeDirectory(split(path).directory)
  }

  /// Gives a complete and synchronised file another name on the same file system, in place of what has it.
  package static func move(_ path: String, to target: String) throws(CorpusError) {
    guard rename(path, target) == 0 else { throw error("write", target) }
    try synchronizeDirectory(split(target).directory)
  }

  /// Keeps a file's present contents in another directory, whatever becomes of its own name.
  ///
  /// - Returns: the path there: the file's name, with a number where that is taken by something else.
  package static func keep(_ path: String, in directory: String) throws(CorpusError) -> String {
    try createDirectory(directory)
    let name = split(path).name
    var number = 1
    while true {
      let target = "\(directory)/\(name)" + (number == 1 ? "" : ".\(number)")
      if link(path, target) == 0 || areSame(path, target) {
        try synchronizeDirectory(directory)
        return target
      }
      if errno == EEXIST {
        number += 1
        continue
      }
      // File systems without hard links keep a copy.
      try TemporaryFile.removeLeftovers(of: target)
      let temporary = TemporaryFile.path(for: target)
      do {
        try FileManager.default.copyItem(atPath: path, toPath: temporary)
      } catch {
        throw CorpusError(
          .inputOutput, "cannot keep a copy of \(path) in \(directory)",
          remedy: "make room and permission for it there", cause: error.localizedDescription)
      }
      guard FileManager.default.contentsEqual(atPath: path, andPath: temporary) else {
        unlink(temporary)
        throw readBackFailure(target)
      }
      try publish(temporary, as: target, replacing: false)
      return target
    }
  }

  private static func areSame(_ path: String, _ other: String) -> Bool {
    let code = errno
    defer { errno = code }
    var (a, b) = (stat(), stat())
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  /// Copies a file to a new one, to the disk, and lets the system forget it, so that who reads it reads the disk.
  package static func copy(_ path: String, to target: String) throws(CorpusError) {
    let source = try Descriptor(opening: path, O_RDONLY)
    let copy = try Descriptor(opening: target, O_RDWR | O_CREAT | O_EXCL)
    let size = try Files.size(path)
    try copy.reserve(bytes: size)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while offset < size {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<Int(min(size - offset, Int64(buffer.count)))])
      try source.read(into: piece, at: offset)
      try copy.write(UnsafeRawBufferPointer(piece), at: offset)
      offset += Int64(piece.count)
    }
    try copy.synchronize()
    copy.forgetCache()
  }

  /// The bytes of a file that must not be longer than `limit`; also of a pipe.
  package static func contents(_ path: String, limit: Int) throws(CorpusError) -> Data {
    let file = try Descriptor(opening: path, O_RDONLY)
    var data = Data()
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(file.fd, &piece, piece.count)
      guard count >= 0 || errno == EINTR else { throw error("read", path) }
      if count == 0 { return data }
      data.append(contentsOf: piece.prefix(max(count, 0)))
      guard data.count <= limit else {
        throw CorpusError(
          .inputOutput, "\(path) is longer than the \(limit) bytes that it may have", remedy: "check the path"
        )
      }
    }
  }

  package static func remove(_ path: String) throws(CorpusError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw error("remove", path) }
  }

  /// Removes a directory and the files in it.
  package static func removeFolder(_ path: String) throws(CorpusError) {
    for name in try names(in: path) { try remove("\(path)/\(name)") }
    guard rmdir(path) == 0 || errno == ENOENT else { throw error("remove", path) }
  }

  package static func synchronizeDirectory(_ path: String) throws(CorpusError) {
    try Descriptor(opening: path, O_RDONLY | O_DIRECTORY).synchronize()
  }

  /// Makes a directory, and those above it, where they are missing.
  package static func createDirectory(_ path: String) throws(CorpusError) {
    if mkdir(path, 0o777) == 0 { return try synchronizeDirectory(split(path).directory) }
    if errno == EEXIST, isDirectory(path) { return }
    let parent = split(path).directory
    guard errno == ENOENT, parent != path else { throw error("create the directory", path) }
    try createDirectory(parent)
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw error("create the directory", path) }
    try synchronizeDirectory(parent)
  }

  /// The names in a directory, sorted; none where it does not exist.
  package static func names(in directory: String) throws(CorpusError) -> [String] {
    guard let stream = opendir(directory) else {
      if errno == ENOENT { return [] }
      throw error("read the directory", directory)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package static func isDirectory(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether something is there, or may be: of what is hidden from us, opening it tells why.
  package static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)
  }

  /// A path that stays the same when the process changes its directory.
  package static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
  }

  /// Makes an empty file where nothing is, with the permissions that the process gives to all its files.
  package static func touch(_ path: String) throws(CorpusError) {
    if !exists(path) { _ = try Descriptor(opening: path, O_RDWR | O_CREAT) }
  }

  /// Whether there is something, where one may look for it.
  ///
  /// - Throws: `readOnly`, `inputOutput` where that cannot be told.
  package static func isPresent(_ path: String) throws(CorpusError) -> Bool {
    if exists(path) { return true }
    guard errno == ENOENT || errno == ENOTDIR else { throw error("read", path) }
    return false
  }

  /// A file's length in bytes.
  package static func size(_ path: String) throws(CorpusError) -> Int64 {
    var information = stat()
    guard stat(path, &information) == 0 else { throw error("read", path) }
    return Int64(information.st_size)
  }

  package static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = slash == path.startIndex ? "/" : String(path[..<slash])
    return (directory, String(path[path.index(after: slash)...]))
  }
}

/// An open file, closed with its owner.
package final class Descriptor: Sendable {
  package let fd: Int32
  package let path: String

  package init(opening path: String, _ flags: Int32) throws(CorpusError) {
    fd = open(path, flags | O_CLOEXEC, 0o666)
    self.path = path
    guard fd >= 0 else { throw Files.error(flags & O_CREAT == 0 ? "read" : "write", path) }
  }

  deinit { close(fd) }

  package func writeAll(_ data: Data) throws(CorpusError) {
    var written = 0
    while written < data.count {
      let count = data.withUnsafeBytes {
        Glibc.write(fd, $0.baseAddress.map { $0 + written }, $0.count - written)
      }
      guard count >= 0 || errno == EINTR else { throw Files.error("write", path) }
      written += max(count, 0)
    }
  }

  /// Writes bytes from this offset on.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CorpusError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(fd, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + done)
      guard count >= 0 || errno == EINTR else { throw Files.error("write", path) }
      done += max(count, 0)
    }
  }

  package func write(_ bytes: [UInt8], at offset: Int64) throws(CorpusError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try write(UnsafeRawBufferPointer(buffer), at: offset)
    }
  }

  /// Reads exactly as many bytes as the buffer has, from this offset on.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(CorpusError) {
    var done = 0
    while done < buffer.count {
      let count = pread(fd, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + done)
      guard count >= 0 || errno == EINTR else { throw Files.error("read", path) }
      guard count != 0 else {
        throw CorpusError(
          .damagedShard, "\(path) ends before byte \(offset + Int64(buffer.count))",
          remedy: "it is truncated: `corpus verify` tells which runs are affected")
      }
      done += max(count, 0)
    }
  }

  /// Whether these bytes lie at this offset.
  package func holds(_ bytes: [UInt8], at offset: Int64) throws(CorpusError) -> Bool {
    try bytes.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try holds(UnsafeRawBufferPointer(buffer), at: offset)
    }
  }

  /// Whether these bytes lie at this offset.
  package func holds(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(CorpusError) -> Bool {
    guard try offset + Int64(bytes.count) <= Files.size(path) else { return false }
    var piece = [UInt8](repeating: 0, count: min(bytes.count, 1 << 20))
    var start = 0
    while start < bytes.count {
      let expected = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece.count, bytes.count)])
      let isEqual = try piece.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
        let found = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<expected.count])
        try read(into: found, at: offset + Int64(start))
        return expected.hasBytes(of: UnsafeRawBufferPointer(found))
      }
      guard isEqual else { return false }
      start += expected.count
    }
    return true
  }

  package func synchronize() throws(CorpusError) {
    // Directories on some network file systems cannot be synchronised, and need not be.
    guard fsync(fd) == 0 || errno == EINVAL else { throw Files.error("write", path) }
  }

  /// Lets the system forget what it holds of the file in memory, so that what is read next comes from the disk. It
  /// keeps what was not synchronised.
  package func forgetCache() { _ = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) }

  /// Takes disk space for this many bytes now, so that a full disk is known before anything is written.
  package func reserve(bytes: Int64) throws(CorpusError) {
    guard clinux_reserve(fd, bytes) == 0 else {
      // File systems without preallocation find a full disk while writing, as usual.
      if errno == EOPNOTSUPP || errno == ENOSYS { return }
      throw Files.error("write", path)
    }
  }

  /// Gives back what ``reserve(bytes:)`` took beyond the end of the file.
  package func releaseReserve() throws(CorpusError) {
    var information = stat()
    guard fstat(fd, &information) == 0, ftruncate(fd, information.st_size) == 0 else {
      throw Files.error("write", path)
    }
  }
}
