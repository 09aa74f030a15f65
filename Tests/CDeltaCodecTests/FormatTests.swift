import CDeltaCodec
import Foundation
import Testing

/// What is on disk stays readable: these bytes are those that version 2 has written from the first day.
@Suite("Format, version 2") struct FormatTests {
  let codec = Codec()

  @Test func `a small chunk is laid out as the schema says`() throws {
    let frames: [[UInt32]] = [
      [0x3F80_0000, 0xBF80_0000, 0x0000_0000],  // 1, -1, 0
      [0x3F80_0001, 0xBF80_0001, 0x8000_0000],  // the next ones away from zero, -0
      [0, 0, 0],
    ]
    // Frame 1 is in the middle, and shortest raw. Frame 0 differs from it by -1, 1 and 1, which is coded as 2, 3
    // and 3: all have one bit below the highest, 0, 1 and 1, each in its own stream. The mean of exponents and
    // symbols is (128 + 128 + 1) / 3, so contexts begin at 86 - 24 = 62, and both 0 and 15 have but symbol 1. Below:
    // the header, the common codes, three entries of the directory, and two bodies.
    let hex = """
      43434402 03000000 0300 0f00
      4110 00000000000000000000 100401
      03 3e 0100 bdf9bc5c 03000000 0000 0100 0100 0100 0000 0000 0000 0000
      01 00 ffff 5eb5261a 0c000000 0000 0000 0000 0000 0000 0000 0000 0000
      00 00 ffff f0a4c269 00000000 0000 0000 0000 0000 0000 0000 0000 0000
      00 01 01
      0100803f 010080bf 00000080
      """
    #expect(try codec.encode(frames) == bytes(hex: hex))
    #expect(try codec.decode(bytes(hex: hex), parameters: 3, frames: 0..<3) == frames)
  }

  /// Differences, a frame alone, zeros, one that is the same as another, and a raw one.
  private func goldenFrames() -> [[UInt32]] {
    var generator = SeededGenerator(seed: 300)
    var frames = generator.walk(frames: 5, parameters: 300, step: 1e-3)
    frames[0].replaceSubrange(0..<RoundTripTests.specials.count, with: RoundTripTests.specials)
    frames += [frames[4], .init(repeating: 0, count: 300)]
    return frames + generator.noise(frames: 1, parameters: 300)
  }

  @Test func `the golden chunk is read and written`() throws {
    let golden = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Golden")
    let (bin, f32) = (
      golden.appending(path: "delta-chunk-v2.bin"), golden.appending(path: "delta-chunk-v2.f32")
    )
    if ProcessInfo.processInfo.environment["CORPUS_WRITE_GOLDEN"] != nil {
      let frames = goldenFrames()
      try Data(try codec.encode(frames)).write(to: bin)
      try frames.flatMap { $0 }.withUnsafeBytes { Data($0) }.write(to: f32)
    }
    let chunk = Array(try Data(contentsOf: bin))
    let decoded = try codec.decode(chunk, parameters: 300, frames: 0..<8)
    #expect(decoded.flatMap { $0 }.withUnsafeBytes { Data($0) } == (try Data(contentsOf: f32)))
    #expect(try codec.encode(decoded) == chunk)
    let layout = Layout(chunk)
    #expect(Set((0..<8).map { layout.kind($0) }) == [.same, .raw, .alone, .difference])
  }

  @Test func `the header is laid out as the schema says`() throws {
    let chunk = try codec.encode([[1, 2, 3], [4, 5, 6]])
    var frames: UInt32 = 0
    var parameters: UInt32 = 0
    #expect(cdelta_header(chunk, 12, &frames, &parameters) == 0)
    #expect((frames, parameters) == (2, 3))
    #expect(cdelta_header(chunk, 11, &frames, &parameters) == Int64(CDELTA_ERROR_LENGTH.rawValue))
  }

  private func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
