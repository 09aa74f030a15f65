import Platform
package import Corpus
import Glibc

/// The bytes of a new file, written in any order and published when complete.
package final class ArrayOutput {
  private let destination: ReservedPath
  private let file: Descriptor

  /// - Parameter bytes: how long the file will be, where that is known; the disk space is taken at once.
  package init(_ destination: ReservedPath, bytes: Int = 0) throws(CorpusError) {
    self.destination = destination
    file = try Descriptor(opening: destination.temporary, O_RDWR | O_CREAT | O_TRUNC)
    if bytes > 0 {
      try destination.naming { [file] () throws(CorpusError) in try file.reserve(bytes: Int64(bytes)) }
    }
  }

  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CorpusError) {
    try destination.naming { () throws(CorpusError) in try file.write(bytes, at: Int64(offset)) }
  }

  package func write(_ bytes: [UInt8], at offset: Int) throws(CorpusError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try write(UnsafeRawBufferPointer(buffer), at: offset)
    }
  }

  /// Gives the file its name.
  package func publish() throws(CorpusError) {
    try file.releaseReserve()
    try destination.publish { () throws(CorpusError) in
      try Files.publish(destination.temporary, as: destination.path, replacing: false)
    }
  }
}

extension [UInt8] {
  /// Adds a number, little endian.
  mutating func append<Number: FixedWidthInteger>(littleEndian number: Number) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }
}
