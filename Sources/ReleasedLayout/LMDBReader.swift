import Platform
import CLMDB
import CLMDBReader
import Corpus
import Glibc

/// Reads an LMDB environment through a process of its own, as liblmdb ends the process that reads a damaged one. Serves
/// one thread.
final class LMDBReader {
  /// A key, and how long its value should be.
  struct Key {
    let name: String
    /// Bytes. Of a longer value no more than its size is read.
    let limit: Int
  }

  /// What a key has.
  enum Value {
    case missing
    case bytes(UnsafeRawBufferPointer)
    /// It is longer than the limit.
    case long(bytes: UInt64)
  }

  /// The directory that `data.mdb` lies in.
  let path: String
  private let process: pid_t
  private let connection: Int32
  private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 1)
  /// How the process ended, once it has.
  private var end: String?

  /// Keys that are asked for at once: fewer than the socket takes without a reader.
  private static let keysPerBatch = 64
  /// liblmdb's own limit is 511 bytes.
  private static let longestKey = 1024

  /// Opens an environment without its lock file: nobody writes to a published one.
  ///
  /// - Throws: `malformedRelease` if there is no environment, or a damaged one.
  init(opening path: String) throws(CorpusError) {
    self.path = path
    let size = try Files.size("\(path)/data.mdb")
    guard size > 0 else {
      throw CorpusError(.malformedRelease, "\(path)/data.mdb is empty", remedy: "fetch it again")
    }
    var connection: Int32 = -1
    process = clmdb_start(path, UInt64(size), &connection)
    self.connection = connection
    guard process > 0 else { throw Files.error("start a process that reads", path) }
    let first = try answer()
    try LMDB.check(first.code, "read", path)
    guard UInt64(size) >= first.size else {
      throw CorpusError(
        .malformedRelease,
        "\(path)/data.mdb is truncated: it has \(size) bytes and should have \(first.size)",
        remedy: "fetch it again")
    }
  }

  deinit {
    if process > 0, end == nil {
      kill(process, SIGKILL)
      _ = stop()
    }
    buffer.deallocate()
  }

  /// Reads the values of keys.
  ///
  /// - Parameter body: called with the index of each key and its value, in their order.
  /// - Throws: `malformedRelease`, also where reading ends the process.
  func read(_ keys: [Key], body: (Int, Value) throws(CorpusError) -> Void) throws(CorpusError) {
    var first = 0
    while first < keys.count {
      let batch = first..<min(first + Self.keysPerBatch, keys.count)
      for key in keys[batch] { try ask(key) }
      var failure: CorpusError?
      for index in batch {
        let value = try value(keys[index])
        // The answers to come are to these questions, whoever wants them no more.
        guard failure == nil else { continue }
        do throws(CorpusError) { try body(index, value) } catch { failure = error }
      }
      if let failure { throw failure }
      first = batch.upperBound
    }
  }

  private func ask(_ key: Key) throws(CorpusError) {
    let name = Array(key.name.utf8.prefix(Self.longestKey))
    let request = clmdb_request(key_size: UInt32(name.count), limit: UInt32(clamping: key.limit))
    let bytes = withUnsafeBytes(of: request) { Array($0) } + name
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(connection, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw died() }
      done += count
    }
  }

  private func value(_ key: Key) throws(CorpusError) -> Value {
    let answer = try answer()
    if answer.code == MDB_NOTFOUND || answer.code == MDB_BAD_VALSIZE { return .missing }
    try LMDB.check(answer.code, "read", path)
    guard answer.size <= UInt64(UInt32(clamping: key.limit)) else { return .long(bytes: answer.size) }
    let size = Int(answer.size)
    if buffer.count < size {
      buffer.deallocate()
      buffer = .allocate(byteCount: size, alignment: 64)
    }
    let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
    try receive(into: target)
    return .bytes(UnsafeRawBufferPointer(target))
  }

  private func answer() throws(CorpusError) -> clmdb_answer {
    var answer = clmdb_answer()
    try withUnsafeMutablePointer(to: &answer) { (pointer) throws(CorpusError) in
      try receive(
        into: UnsafeMutableRawBufferPointer(start: pointer, count: MemoryLayout<clmdb_answer>.size))
    }
    return answer
  }

  private func receive(into target: UnsafeMutableRawBufferPointer) throws(CorpusError) {
    var done = 0
    while done < target.count {
      let count = recv(connection, target.baseAddress.map { $0 + done }, target.count - done, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw died() }
      done += count
    }
  }

  private func died() -> CorpusError {
    CorpusError(
      .malformedRelease, "\(path)/data.mdb is damaged: LMDB cannot read it", remedy: "fetch it again",
      cause: stop())
  }

  /// Ends the process and waits for it.
  private func stop() -> String {
    if let end { return end }
    close(connection)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    let how =
      switch signal {
      case 0: "a value lies outside the file"
      case SIGPROF: "it goes round for ever"
      default: "signal \(signal)"
      }
    end = how
    return how
  }
}
