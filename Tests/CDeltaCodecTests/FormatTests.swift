import CDeltaCodec
import Foundation
import Testing

/// What is on disk stays readable: these bytes are those that version 1 has written from the first day.
@Suite("Format, version 1") struct FormatTests {
  let codec = Codec()

  /// Too small for Zstandard to have a say, so the encoder has to write exactly these bytes as well.
  @Test func smallChunk() throws {
    let frames: [[UInt32]] = [
      [0x3F80_0000, 0xBF80_0000, 0x0000_0000],  // 1, -1, 0
      [0x3F80_0001, 0xBF80_0001, 0x8000_0000],  // the next ones away from zero, -0
      [0, 0, 0],
    ]
    // The header; three directory entries; planes 0 and 3 of the keyframe, plane 0 of the difference.
    let hex = """
      43434401 03000000 0300
      81 41 bdf9bc5c
      01 01 5eb5261a
      81 00 f0a4c269
      000100 7f7f00
      020101
      """
    #expect(try codec.encode(frames) == bytes(hex: hex))
    #expect(try codec.decode(bytes(hex: hex), parameters: 3, frames: 0..<3) == frames)
  }

  @Test func goldenFile() throws {
    let golden = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Golden")
    let chunk = try Data(contentsOf: golden.appending(path: "delta-chunk-v1.bin"))
    let values = try Data(contentsOf: golden.appending(path: "delta-chunk-v1.f32"))
    let decoded = try codec.decode(Array(chunk), parameters: 300, frames: 0..<6)
    #expect(decoded.flatMap { $0 }.withUnsafeBytes { Data($0) } == values)
  }

  @Test func header() throws {
    let chunk = try codec.encode([[1, 2, 3], [4, 5, 6]])
    var frames: UInt32 = 0
    var parameters: UInt32 = 0
    #expect(cdelta_header(chunk, 10, &frames, &parameters) == 0)
    #expect((frames, parameters) == (2, 3))
    #expect(cdelta_header(chunk, 9, &frames, &parameters) == Int64(CDELTA_ERROR_LENGTH.rawValue))
  }

  private func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
