import CZlib
package import Corpus

/// Writes NumPy's npz: a zip archive with one uncompressed `.npy` member an array, and the texts as one more,
/// `metadata`, a string that is a JSON object.
///
/// All lengths are known beforehand, so that the members grow side by side; only their checksums are filled in at the
/// end. Sources: NumPy's "NEP 1 — A simple file format for NumPy arrays"; PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
package final class NPZWriter: ArrayWriter {
  /// A member of the archive.
  private struct Member {
    let name: [UInt8]
    /// Where its local header begins.
    let offset: Int
    let size: Int
    /// Where its next byte goes.
    var position: Int
    var checksum: UInt
    let isLarge: Bool
  }

  private let output: ArrayOutput
  private var members: [Member] = []
  private let zip64Limit: Int

  /// - Parameter zip64Limit: from this size or offset on, fields of 64 bits are used; smaller in tests.
  package init(_ layout: ArrayLayout, to destination: ReservedPath, zip64Limit: Int = 0xFFFF_FFFF)
    throws(CorpusError)
  {
    self.zip64Limit = zip64Limit
    var headers = layout.columns.map { column in
      Self.header(descr: column.element == .float32 ? "<f4" : "<i8", shape: [layout.rows] + column.rowShape)
    }
    var sizes = zip(layout.columns, headers).map { $1.count + $0.rowBytes * layout.rows }
    let texts = Array(try CanonicalJSON.string(layout.metadata).unicodeScalars.map(\.value))
    headers.append(Self.header(descr: "<U\(texts.count)", shape: []))
    sizes.append(headers[headers.count - 1].count + 4 * texts.count)

    var offset = 0
    for (name, size) in zip(layout.columns.map(\.name) + ["metadata"], sizes) {
      let isLarge = size >= zip64Limit
      let file = Array("\(name).npy".utf8)
      let start = offset + 30 + file.count + (isLarge ? 20 : 0)
      members.append(
        Member(name: file, offset: offset, size: size, position: start, checksum: 0, isLarge: isLarge))
      offset = start + size
    }
    output = try ArrayOutput(destination, bytes: offset + 4096)
    for (number, header) in headers.enumerated() { try append(header, to: number) }
    try append(texts, to: members.count - 1)
  }

  /// The head of a `.npy` file, version 1.0, a multiple of 64 bytes long.
  private static func header(descr: String, shape: [Int]) -> [UInt8] {
    let tuple = shape.map { "\($0)," }.joined(separator: " ")
    let text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(tuple)), }"
    let padding = (64 - (10 + text.utf8.count + 1) % 64) % 64
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
    bytes.append(littleEndian: UInt16(text.utf8.count + padding + 1))
    return bytes + Array(text.utf8) + [UInt8](repeating: 0x20, count: padding) + [0x0A]
  }

  private func append<Value: BitwiseCopyable>(_ values: [Value], to number: Int) throws(CorpusError) {
    try values.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try append(UnsafeRawBufferPointer(buffer), to: number)
    }
  }

  package func append(_ bytes: UnsafeRawBufferPointer, to number: Int) throws(CorpusError) {
    try output.write(bytes, at: members[number].position)
    members[number].position += bytes.count
    members[number].checksum = crc32_z(
      members[number].checksum, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
  }

  package func finish() throws(CorpusError) {
    var directory: [UInt8] = []
    var end = 0
    for member in members {
      let local = localHeader(member)
      precondition(member.position == member.offset + local.count + member.size)
      try output.write(local, at: member.offset)
      directory += centralHeader(member)
      end = member.position
    }
    try output.write(directory + endOfArchive(directory: directory.count, at: end), at: end)
    try output.publish()
  }

  // MARK: The zip format

  /// Version needed, flags, method (stored), time and date (1980-01-01), checksum.
  private func commonFields(_ member: Member, needs64: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt16(needs64 ? 45 : 20))
    for field in [0, 0, 0, 0x21] as [UInt16] { bytes.append(littleEndian: field) }
    bytes.append(littleEndian: UInt32(truncatingIfNeeded: member.checksum))
    return bytes
  }

  private func localHeader(_ member: Member) -> [UInt8] {
    var bytes: [UInt8] = Array("PK\u{3}\u{4}".utf8) + commonFields(member, needs64: member.isLarge)
    let size = member.isLarge ? .max : UInt32(member.size)
    for _ in 0..<2 { bytes.append(littleEndian: size) }
    bytes.append(littleEndian: UInt16(member.name.count))
    bytes.append(littleEndian: UInt16(member.isLarge ? 20 : 0))
    bytes += member.name
    if member.isLarge { bytes += Self.extra([member.size, member.size]) }
    return bytes
  }

  private func centralHeader(_ member: Member) -> [UInt8] {
    let isFar = member.offset >= zip64Limit
    let extra = Self.extra(
      (member.isLarge ? [member.size, member.size] : []) + (isFar ? [member.offset] : []))
    // Made on Unix (3), where the permissions at the end are those of a file that its owner may write.
    var bytes: [UInt8] =
      Array("PK\u{1}\u{2}".utf8) + [45, 3] + commonFields(member, needs64: member.isLarge || isFar)
    let size = member.isLarge ? .max : UInt32(member.size)
    for _ in 0..<2 { bytes.append(littleEndian: size) }
    for field in [member.name.count, extra.count, 0, 0, 0] { bytes.append(littleEndian: UInt16(field)) }
    bytes.append(littleEndian: UInt32(0o100644) << 16)
    bytes.append(littleEndian: isFar ? .max : UInt32(member.offset))
    return bytes + member.name + extra
  }

  /// The extra field with lengths and offsets of 64 bits; none where there are none.
  private static func extra(_ fields: [Int]) -> [UInt8] {
    if fields.isEmpty { return [] }
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt16(1))
    bytes.append(littleEndian: UInt16(8 * fields.count))
    for field in fields { bytes.append(littleEndian: UInt64(field)) }
    return bytes
  }

  private func endOfArchive(directory size: Int, at offset: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    let isFar = offset >= zip64Limit
    if isFar {
      bytes += Array("PK\u{6}\u{6}".utf8)
      bytes.append(littleEndian: UInt64(44))
      for field in [0x032D, 45] as [UInt16] { bytes.append(littleEndian: field) }
      for field in [0, 0] as [UInt32] { bytes.append(littleEndian: field) }
      for field in [members.count, members.count, size, offset] { bytes.append(littleEndian: UInt64(field)) }
      bytes += Array("PK\u{6}\u{7}".utf8)
      bytes.append(littleEndian: UInt32(0))
      bytes.append(littleEndian: UInt64(offset + size))
      bytes.append(littleEndian: UInt32(1))
    }
    bytes += Array("PK\u{5}\u{6}".utf8)
    for field in [0, 0, members.count, members.count] { bytes.append(littleEndian: UInt16(field)) }
    bytes.append(littleEndian: UInt32(size))
    bytes.append(littleEndian: isFar ? .max : UInt32(offset))
    bytes.append(littleEndian: UInt16(0))
    return bytes
  }
}
