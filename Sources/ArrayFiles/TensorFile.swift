import Platform
package import Corpus
import Foundation
import VectorKernels

/// A file of named float32 tensors in the safetensors format, with texts about them.
///
/// Source: the format's description in the README of huggingface/safetensors.
package final class TensorFile {
  package struct Tensor: Equatable {
    package let shape: [Int]
    /// In the file.
    package let bytes: Range<Int>
  }

  /// What a tensor of a file to be written gets.
  package struct Contents {
    package let name: String
    package let shape: [Int]
    fileprivate let numbers: UnsafePointer<Float>
    fileprivate let stride: Int

    /// - Parameter stride: the floats from one row, the last dimension, to the next.
    package init(_ name: String, _ shape: [Int], _ numbers: UnsafePointer<Float>, stride: Int) {
      self.name = name
      self.shape = shape
      self.numbers = numbers
      self.stride = stride
    }
  }

  package let path: String
  package let metadata: [String: String]
  package let tensors: [String: Tensor]
  private let mapping: FileMapping

  /// Maps a file and checks everything but the numbers themselves.
  ///
  /// - Throws: `malformedModel`, saying what is wrong.
  package init(opening path: String) throws(CorpusError) {
    self.path = path
    mapping = try FileMapping(opening: path)
    func malformed(_ problem: String) -> CorpusError {
      CorpusError(
        .malformedModel, "\(path) is no safetensors file of a model: \(problem)",
        remedy: "restore it from a copy, or train the model again")
    }
    let bytes = mapping.bytes
    guard bytes.count >= 8 else { throw malformed("it is too short") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= 100_000_000, Int(length) <= bytes.count - 8 else {
      throw malformed("its header does not end within it")
    }
    let start = 8 + Int(length)
    guard
      let header = try? CanonicalJSON.decode(
        [String: JSONValue].self, from: Data(bytes[8..<start]))
    else { throw malformed("its header is no JSON object") }
    var metadata: [String: String] = [:]
    var tensors: [String: Tensor] = [:]
    for (name, value) in header {
      if name == "__metadata__" {
        guard case .object(let members) = value else { throw malformed("its metadata are no texts") }
        for (key, text) in members {
          guard case .string(let text) = text else { throw malformed("its metadata are no texts") }
          metadata[key] = text
        }
        continue
      }
      guard value["dtype"] == .string("F32") else { throw malformed("\(name) is not float32") }
      guard let shape = Self.integers(value["shape"]), let offsets = Self.integers(value["data_offsets"]),
        offsets.count == 2, offsets[0] <= offsets[1]
      else { throw malformed("\(name) has no shape or no place") }
      var size = 4
      for length in shape {
        let (product, overflows) = size.multipliedReportingOverflow(by: length)
        guard !overflows else { throw malformed("\(name) has an impossible shape") }
        size = product
      }
      guard size == offsets[1] - offsets[0] else { throw malformed("\(name) is not as long as its shape") }
      guard offsets[1] <= bytes.count - start else { throw malformed("it ends before \(name) does") }
      tensors[name] = Tensor(shape: shape, bytes: (start + offsets[0])..<(start + offsets[1]))
    }
    if let digits = metadata.removeValue(forKey: Self.hash) {
      let isWhole = try EmbeddedHash.holds(digits, in: Data(bytes[..<start])) { hash in
        hash.update(bytes: UnsafeRawBufferPointer(rebasing: bytes[start...]))
      }
      guard isWhole, mapping.isUnchanged() else {
        throw malformed("it does not have the SHA-256 that it says")
      }
    }
    self.metadata = metadata
    self.tensors = tensors
  }

  /// The text with the hash of all of the file; the first files have none.
  private static let hash = "sha256"

  private static func integers(_ value: JSONValue?) -> [Int]? {
    guard case .array(let values)? = value else { return nil }
    var integers: [Int] = []
    for value in values {
      guard case .number(let number) = value, let integer = Int(exactly: number), integer >= 0 else {
        return nil
      }
      integers.append(integer)
    }
    return integers
  }

  /// Copies a tensor into memory for it.
  ///
  /// - Parameter stride: the floats from one row, the last dimension, to the next.
  /// - Throws: `malformedModel` if it is missing or of another shape.
  package func read(
    _ name: String, shape: [Int], into output: UnsafeMutablePointer<Float>, stride: Int
  ) throws(CorpusError) {
    let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[try require(name, shape: shape).bytes])
    let row = shape[shape.count - 1] * MemoryLayout<Float>.stride
    for (number, start) in Swift.stride(from: 0, to: bytes.count, by: max(1, row)).enumerated() {
      UnsafeMutableRawBufferPointer(start: output + number * stride, count: row)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + row)]))
    }
    guard mapping.isUnchanged() else {
      throw CorpusError(
        .malformedModel, "\(path) has changed, or its disk fails, while it is read",
        remedy: "restore it from a copy, or train the model again")
    }
  }

  /// - Throws: `malformedModel` if there is no tensor of this name and shape.
  @discardableResult
  package func require(_ name: String, shape: [Int]) throws(CorpusError) -> Tensor {
    let remedy = "use the model.json that belongs to it, or train the model again"
    guard let tensor = tensors[name] else {
      throw CorpusError(.malformedModel, "\(path) has no tensor \(name)", remedy: remedy)
    }
    guard tensor.shape == shape else {
      throw CorpusError(
        .malformedModel, "in \(path), \(name) has the shape \(tensor.shape), and \(shape) is expected",
        remedy: remedy)
    }
    return tensor
  }

  /// Writes a file so that it is there as a whole or not at all.
  ///
  /// - Parameter tensors: in the order in which they are stored.
  package static func write(
    _ tensors: [Contents], metadata: [String: String], to path: String
  ) throws(CorpusError) {
    let texts = metadata.merging([Self.hash: EmbeddedHash.placeholder]) { $1 }
    var described: [SafetensorsHeader.Tensor] = []
    var end = 0
    for tensor in tensors {
      let bytes = end..<(end + 4 * tensor.shape.reduce(1, *))
      described.append(.init(tensor.name, "F32", tensor.shape, bytes))
      end = bytes.upperBound
    }
    let header = Data(try SafetensorsHeader.bytes(described, metadata: texts))
    try TemporaryFile.removeLeftovers(of: path)
    let temporary = TemporaryFile.path(for: path)
    do throws(CorpusError) {
      let file = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL)
      let beginning = [UInt8](
        try EmbeddedHash.seal(header) { (hash) throws(CorpusError) in
          try tensors.forEachPart(from: 0) { bytes, _ in hash.update(bytes: bytes) }
        })
      try file.reserve(bytes: Int64(beginning.count + end))
      try file.write(beginning, at: 0)
      try tensors.forEachPart(from: beginning.count) { (bytes, offset) throws(CorpusError) in
        try file.write(bytes, at: offset)
      }
      try file.releaseReserve()
      // It may replace the only other state of a training.
      try file.synchronize()
      file.forgetCache()
      var isWhole = try file.holds(beginning, at: 0)
      try tensors.forEachPart(from: beginning.count) { (bytes, offset) throws(CorpusError) in
        if isWhole { isWhole = try file.holds(bytes, at: offset) }
      }
      guard isWhole else { throw Files.readBackFailure(path) }
    } catch {
      unlink(temporary)
      throw error.naming(path, insteadOf: temporary)
    }
    try Files.publish(temporary, as: path)
  }
}

extension [TensorFile.Contents] {
  /// Calls `body` with the numbers of each tensor and where they lie in the file.
  fileprivate func forEachPart(
    from start: Int, _ body: (UnsafeRawBufferPointer, Int64) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    var offset = Int64(start)
    for tensor in self {
      try tensor.withBytes { (bytes) throws(CorpusError) in
        try body(bytes, offset)
        offset += Int64(bytes.count)
      }
    }
  }
}

extension TensorFile.Contents {
  /// Calls `body` with the numbers one after the other.
  fileprivate func withBytes(
    _ body: (UnsafeRawBufferPointer) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let (columns, count) = (shape[shape.count - 1], shape.reduce(1, *))
    if stride == columns { return try body(UnsafeRawBufferPointer(start: numbers, count: 4 * count)) }
    let dense = AlignedBuffer<Float>(count: count)
    for row in 0..<(count / columns) {
      (dense.base + row * columns).update(from: numbers + row * stride, count: columns)
    }
    try body(UnsafeRawBufferPointer(start: dense.base, count: 4 * count))
    withExtendedLifetime(dense) {}
  }
}
