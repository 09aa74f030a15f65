import Platform
internal import CZlib
import Corpus

/// A file read from its beginning, plain or compressed by gzip: zlib's `gzread` tells by itself.
struct CompressedFile: ~Copyable {
  private let file: gzFile
  let path: String

  init(opening path: String) throws(CorpusError) {
    // gzopen leaves errno alone where memory is short, and says why it failed otherwise.
    guard let file = gzopen(path, "rb") else { throw Files.error("read", path) }
    gzbuffer(file, 1 << 17)
    self.file = file
    self.path = path
  }

  deinit { gzclose_r(file) }

  /// The next bytes, fewer where the file ends.
  ///
  /// - Throws: `malformedDataset` if the compressed bytes are damaged or cut short; gzip's own checksum
  ///   (CRC-32) is compared at the end of the file.
  func read(_ count: Int) throws(CorpusError) -> [UInt8] {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        // Some at a time, as the length is a 32-bit number.
        let piece = min(count - initialized, 1 << 24)
        let read = gzread(file, buffer.baseAddress.map { $0 + initialized }, UInt32(piece))
        failed = read < 0
        if read <= 0 { break }
        initialized += Int(read)
      }
    }
    var code: Int32 = 0
    let message = gzerror(file, &code).map { String(cString: $0) }
    // A file that ends within a gzip stream is no error of gzread itself: it only leaves the code.
    if failed || code == Z_BUF_ERROR || code == Z_DATA_ERROR {
      throw .malformedDataset("\(path) is damaged or cut short", cause: message)
    }
    return bytes
  }
}
