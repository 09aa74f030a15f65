import CDeltaCodec
import Testing

@Suite("Foreign bytes") struct ForeignBytesTests {
  let codec = Codec()
  let frames: [[UInt32]]
  let chunk: [UInt8]

  /// A chunk with every kind of plane: raw, compressed, and zero in the last frame.
  init() throws {
    var generator = SeededGenerator(seed: 8)
    frames = generator.walk(frames: 5, parameters: 120, step: 1e-4) + [.init(repeating: 0, count: 120)]
    chunk = try codec.encode(frames)
  }

  private func decode(_ chunk: [UInt8], frames: Range<Int>? = nil) throws -> [[UInt32]] {
    try codec.decode(chunk, parameters: 120, frames: frames ?? 0..<6)
  }

  @Test("A chunk cut at any length, or with bytes after it, is an error")
  func truncated() throws {
    #expect(try decode(chunk) == frames)
    for length in 0..<chunk.count {
      #expect(throws: Codec.Failure.self) { try decode(Array(chunk.prefix(length))) }
    }
    #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_LENGTH.rawValue))) { try decode(chunk + [0]) }
  }

  @Test("Any single flipped bit is an error, or changes no value")
  func flippedBits() throws {
    var harmless = 0
    for bit in 0..<chunk.count * 8 {
      var damaged = chunk
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      for range in [0..<6, 4..<5] {
        guard let decoded = try? decode(damaged, frames: range) else { continue }
        #expect(decoded == Array(frames[range]), "bit \(bit)")
        harmless += range.count == 6 ? 1 : 0
      }
    }
    #expect(harmless < 40, "\(harmless) bits of \(chunk.count * 8) carry nothing")
  }

  @Test("Random bytes, with and without a true header, are an error", arguments: UInt64(0)..<20)
  func garbage(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for length in 0..<400 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(throws: Codec.Failure.self) { try decode(bytes) }
      #expect(throws: Codec.Failure.self) { try decode(Array(chunk.prefix(10)) + bytes) }
    }
  }

  @Test("Bytes overwritten at random are an error, or change no value", arguments: UInt64(0)..<20)
  func overwritten(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      var damaged = chunk
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<(Bool.random(using: &generator) ? 60 : chunk.count), using: &generator)
        damaged[place] = UInt8.random(in: 0...255, using: &generator)
      }
      guard let decoded = try? decode(damaged) else { continue }
      #expect(decoded == frames)
    }
  }

  @Test("Errors say which of the caller's numbers is wrong")
  func arguments() throws {
    func expect(_ status: cdelta_status, _ parameters: Int, _ range: Range<Int>) {
      #expect(throws: Codec.Failure(code: Int64(status.rawValue))) {
        try codec.decode(chunk, parameters: parameters, frames: range)
      }
    }
    expect(CDELTA_ERROR_PARAMETERS, 119, 0..<6)
    expect(CDELTA_ERROR_ARGUMENT, 120, 0..<7)
    expect(CDELTA_ERROR_ARGUMENT, 120, 6..<7)
    expect(CDELTA_ERROR_ARGUMENT, 120, 3..<3)
    var other = chunk
    other[3] = 2
    #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_FORMAT.rawValue))) { try decode(other) }
    for code in Int64(-9)...0 { #expect(String(cString: cdelta_error(code)).count > 4) }
  }
}
