import Platform
import Corpus
import Dispatch
import Foundation
import Glibc
import Synchronization

/// Standard output for those who must not wait for its reader: a query whose rows stand in a pager would keep the index
/// from taking up runs. What the reader has not taken yet is kept, the first part in memory and the rest in a file.
package final class SpooledOutput: Sendable {
  private struct State {
    /// What was written first, all that fits.
    var head: [UInt8] = []
    var file: Descriptor?
    var written = 0
    var isComplete = false

    mutating func append(_ bytes: [UInt8]) throws(CorpusError) {
      if file == nil, head.count + bytes.count <= SpooledOutput.headLimit {
        head += bytes
      } else {
        let file = if let file { file } else { try SpooledOutput.temporaryFile() }
        self.file = file
        try file.write(bytes, at: Int64(written - head.count))
      }
      written += bytes.count
    }

    /// What lies from there on, or a part of it.
    func bytes(from start: Int) throws(CorpusError) -> [UInt8] {
      let end = min(written, start + SpooledOutput.piece)
      if start < head.count { return Array(head[start..<min(end, head.count)]) }
      guard let file, start < end else { return [] }
      var bytes = [UInt8](repeating: 0, count: end - start)
      try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CorpusError) in
        try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: Int64(start - head.count))
      }
      return bytes
    }
  }

  private static let piece = 1 << 16
  private static let headLimit = 1 << 24

  private let state = Mutex(State())
  private let news = DispatchSemaphore(value: 0)
  private let end = DispatchSemaphore(value: 0)

  package init() {
    let thread = Thread { [self] in
      drain()
      end.signal()
    }
    thread.start()
  }

  package func write(_ text: String) {
    let bytes = Array(text.utf8)
    do throws(CorpusError) {
      try state.withLock { (state) throws(CorpusError) in try state.append(bytes) }
    } catch {
      Console.failOutput(error.message)
    }
    news.signal()
  }

  /// Waits until everything is printed.
  package func finish() {
    state.withLock { $0.isComplete = true }
    news.signal()
    end.wait()
  }

  private func drain() {
    var printed = 0
    while true {
      news.wait()
      while true {
        let (bytes, isComplete) = state.withLock { (try? $0.bytes(from: printed), $0.isComplete) }
        guard let bytes else { Console.failOutput("what was kept for it cannot be read") }
        if bytes.isEmpty {
          if isComplete { return }
          break
        }
        Console.write(bytes)
        printed += bytes.count
      }
    }
  }

  /// A file without a name.
  private static func temporaryFile() throws(CorpusError) -> Descriptor {
    let path = FileManager.default.temporaryDirectory.path + "/corpus-\(UUID().uuidString)"
    let file = try Descriptor(opening: path, O_RDWR | O_CREAT | O_EXCL)
    try Files.remove(path)
    return file
  }
}
