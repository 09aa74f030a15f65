package import Corpus

/// Writes safetensors: the length of a JSON header (uint64), the header, then the arrays without gaps.
///
/// Source: the format's description in the README of huggingface/safetensors.
package final class SafetensorsWriter: ArrayWriter {
  private let output: ArrayOutput
  private let layout: ArrayLayout
  /// Where the next row of each column goes.
  private var offsets: [Int]
  private let ends: [Int]

  private struct Tensor: Encodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
  }

  /// What the header's members are: all tensors but one, which are texts.
  private enum Member: Encodable {
    case tensor(Tensor)
    case metadata([String: String])

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .tensor(let tensor): try tensor.encode(to: encoder)
      case .metadata(let texts): try texts.encode(to: encoder)
      }
    }
  }

  /// The data begins at a multiple of this, for those who map the file into memory.
  private static let alignment = 64

  package init(_ layout: ArrayLayout, to destination: ReservedPath) throws(CorpusError) {
    self.layout = layout
    var members: [String: Member] = ["__metadata__": .metadata(layout.metadata)]
    var offsets: [Int] = []
    var end = 0
    for column in layout.columns {
      offsets.append(end)
      end += column.rowBytes * layout.rows
      members[column.name] = .tensor(
        Tensor(
          dtype: column.element == .float32 ? "F32" : "I64", shape: [layout.rows] + column.rowShape,
          data_offsets: [offsets[offsets.count - 1], end]))
    }
    var header = [UInt8](try CanonicalJSON.data(members, pretty: false))
    let excess = (8 + header.count) % Self.alignment
    if excess > 0 { header.append(contentsOf: repeatElement(0x20, count: Self.alignment - excess)) }
    let start = 8 + header.count
    self.offsets = offsets.map { start + $0 }
    ends = self.offsets.dropFirst() + [start + end]
    output = try ArrayOutput(destination, bytes: start + end)
    var prefix: [UInt8] = []
    prefix.append(littleEndian: UInt64(header.count))
    try output.write(prefix + header, at: 0)
  }

  package func append(_ bytes: UnsafeRawBufferPointer, to column: Int) throws(CorpusError) {
    precondition(offsets[column] + bytes.count <= ends[column])
    try output.write(bytes, at: offsets[column])
    offsets[column] += bytes.count
  }

  package func finish() throws(CorpusError) {
    precondition(offsets == ends)
    try output.publish()
  }
}
