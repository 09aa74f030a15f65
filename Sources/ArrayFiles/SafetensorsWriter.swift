package import Corpus

/// Writes safetensors: the length of a JSON header (uint64), the header, then the arrays without gaps.
///
/// Source: the format's description in the README of huggingface/safetensors.
package final class SafetensorsWriter: ArrayWriter {
  private let output: ArrayOutput
  /// Where the next row of each column goes.
  private var offsets: [Int]
  private let ends: [Int]

  package init(_ layout: ArrayLayout, to destination: ReservedPath) throws(CorpusError) {
    var tensors: [SafetensorsHeader.Tensor] = []
    var end = 0
    for column in layout.columns {
      let bytes = end..<(end + column.rowBytes * layout.rows)
      tensors.append(
        .init(column.name, column.element == .float32 ? "F32" : "I64", [layout.rows] + column.rowShape, bytes)
      )
      end = bytes.upperBound
    }
    let header = try SafetensorsHeader.bytes(tensors, metadata: layout.metadata)
    let start = header.count
    offsets = tensors.map { start + $0.bytes.lowerBound }
    ends = tensors.map { start + $0.bytes.upperBound }
    output = try ArrayOutput(destination, bytes: start + end)
    try output.write(header, at: 0)
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

/// The beginning of a safetensors file: the length of its JSON header, and that.
enum SafetensorsHeader {
  struct Tensor {
    let name: String
    let type: String
    let shape: [Int]
    /// Where it lies in the data.
    let bytes: Range<Int>

    init(_ name: String, _ type: String, _ shape: [Int], _ bytes: Range<Int>) {
      (self.name, self.type, self.shape, self.bytes) = (name, type, shape, bytes)
    }
  }

  /// The data begins at a multiple of this, for those who map the file into memory.
  private static let alignment = 64

  static func bytes(_ tensors: [Tensor], metadata: [String: String]) throws(CorpusError) -> [UInt8] {
    var members: [String: JSONValue] = ["__metadata__": .object(metadata.mapValues { .string($0) })]
    func numbers(_ values: [Int]) -> JSONValue { .array(values.map { .number(Double($0)) }) }
    for tensor in tensors {
      members[tensor.name] = .object([
        "dtype": .string(tensor.type), "shape": numbers(tensor.shape),
        "data_offsets": numbers([tensor.bytes.lowerBound, tensor.bytes.upperBound]),
      ])
    }
    var header = [UInt8](try CanonicalJSON.data(members, pretty: false))
    let excess = (8 + header.count) % alignment
    if excess > 0 { header.append(contentsOf: repeatElement(0x20, count: alignment - excess)) }
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt64(header.count))
    return bytes + header
  }
}
