internal import CZlib
public import Corpus
import Foundation

/// Numbers as few characters of JSON: quantised to 8 or 16 bits, deflated (the zlib format), in base64. A browser's
/// `DecompressionStream("deflate")` unpacks them.
public enum PackedNumbers {
  /// The 16-bit number that stands for what is no number.
  public static let missing = UInt16.max

  /// A tile of a landscape, row by row: q = (value - low) / (high - low) · 65534 to the nearest, ``missing`` for what is no
  /// finite number. What is deflated are differences modulo 2^16 from the number before in the row, of a row's first from
  /// that of the row before, of the very first from 0: all low bytes, then all high ones.
  public static func tile(_ values: [Float], width: Int, range: [Float]) throws(CorpusError) -> String {
    let step = max(Double(range[1]) - Double(range[0]), .leastNormalMagnitude) / 65534
    let quantised = values.map { value in
      value.isFinite
        ? UInt16(min(max(((Double(value) - Double(range[0])) / step).rounded(), 0), 65534)) : missing
    }
    let differences = quantised.indices.map { index in
      let before = index % width > 0 ? quantised[index - 1] : index > 0 ? quantised[index - width] : 0
      return quantised[index] &- before
    }
    return try deflated(
      differences.map { UInt8(truncatingIfNeeded: $0) } + differences.map { UInt8($0 >> 8) })
  }

  /// Numbers from -limit to limit: q = value / limit · (2^(bits - 1) - 1) to the nearest, plus 2^(bits - 1); 0 for what is
  /// no finite number. Of 16 bits all low bytes come first, then all high ones.
  ///
  /// - Parameter bits: 8 or 16.
  public static func signed(_ values: [Float], limit: Float, bits: Int) throws(CorpusError) -> String {
    let middle = Double(1 << (bits - 1))
    let numbers = values.map { value -> UInt16 in
      guard value.isFinite else { return 0 }
      let share = limit > 0 ? min(max(Double(value) / Double(limit), -1), 1) : 0
      return UInt16((share * (middle - 1)).rounded() + middle)
    }
    let low = numbers.map { UInt8(truncatingIfNeeded: $0) }
    return try deflated(bits == 8 ? low : low + numbers.map { UInt8($0 >> 8) })
  }

  /// Float32, little endian, in base64 alone: the numbers themselves.
  static func exact(_ values: [Float]) -> String {
    Data(values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
      .base64EncodedString()
  }

  private static func deflated(_ bytes: [UInt8]) throws(CorpusError) -> String {
    var length = compressBound(UInt(bytes.count))
    var packed = [UInt8](repeating: 0, count: Int(length))
    guard compress2(&packed, &length, bytes, UInt(bytes.count), 9) == Z_OK else {
      throw CorpusError(.resource, "memory is short", remedy: "end other programs, or make less at once")
    }
    return Data(packed[..<Int(length)]).base64EncodedString()
  }
}
