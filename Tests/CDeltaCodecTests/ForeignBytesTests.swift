import CDeltaCodec
import Testing

@Suite("Foreign bytes") struct ForeignBytesTests {
  let codec = Codec()
  let frames: [[UInt32]]
  let chunk: [UInt8]

  /// A chunk with every kind of frame: difference, alone, difference, raw, same as another, zeros.
  init() throws {
    var generator = SeededGenerator(seed: 8)
    let walk = generator.walk(frames: 3, parameters: 120, step: 1e-4)
    frames =
      walk + generator.noise(frames: 1, parameters: 120) + [walk[1], .init(repeating: 0, count: 120)]
    chunk = try codec.encode(frames)
  }

  @Test func `the chunk has every kind of frame`() {
    let layout = Layout(chunk)
    #expect(
      (0..<6).map { layout.kind($0) } == [.difference, .alone, .difference, .raw, .same, .same])
  }

  private func decode(_ chunk: [UInt8], frames: Range<Int>? = nil) throws -> [[UInt32]] {
    try codec.decode(chunk, parameters: 120, frames: frames ?? 0..<6)
  }

  @Test
  func `a chunk cut at any length, or with bytes after it, is an error`() throws {
    #expect(try decode(chunk) == frames)
    for length in 0..<chunk.count {
      #expect(throws: Codec.Failure.self) { try decode(Array(chunk.prefix(length))) }
    }
    #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_LENGTH.rawValue))) { try decode(chunk + [0]) }
  }

  @Test
  func `any single flipped bit is an error, or changes no value`() throws {
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
    // The fields of a frame that has neither codes nor streams, and what fills up the last bytes of streams.
    #expect(harmless < 700, "\(harmless) bits of \(chunk.count * 8) carry nothing")
  }

  @Test(arguments: UInt64(0)..<20)
  func `random bytes, with and without a true header, are an error`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for length in 0..<400 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(throws: Codec.Failure.self) { try decode(bytes) }
      #expect(throws: Codec.Failure.self) { try decode(Array(chunk.prefix(12)) + bytes) }
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func `bytes overwritten at random are an error, or change no value`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      var damaged = chunk
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(
          in: 0..<(Bool.random(using: &generator) ? 240 : chunk.count), using: &generator)
        damaged[place] = UInt8.random(in: 0...255, using: &generator)
      }
      guard let decoded = try? decode(damaged) else { continue }
      #expect(decoded == frames)
    }
  }

  @Test
  func `every value of every byte of the header, the common codes and the directory`() throws {
    for place in 0..<Layout(chunk).bodies {
      for value in UInt8.min...UInt8.max {
        var damaged = chunk
        damaged[place] = value
        if let decoded = try? decode(damaged) { #expect(decoded == frames, "byte \(place) is \(value)") }
        if let last = try? decode(damaged, frames: 4..<5) { #expect(last == [frames[4]]) }
      }
    }
  }

  private func expect(_ status: cdelta_status, _ change: (inout Layout) -> Void) {
    var layout = Layout(chunk)
    change(&layout)
    #expect(throws: Codec.Failure(code: Int64(status.rawValue))) { try decode(layout.bytes) }
  }

  @Test
  func `parents out of range, in circles, or of kinds that cannot have one`() {
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(4, to: 6) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(4, to: 0xFFFE) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(4, to: 4) }
    expect(CDELTA_ERROR_CORRUPT) {
      $0.setParent(4, to: 5)
      $0.setParent(5, to: 4)
    }
    expect(CDELTA_ERROR_CORRUPT) {
      $0.setParent(0, to: 4)
      $0.setParent(4, to: 2)
      $0.setParent(2, to: 0)
    }
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(0, to: Layout.none) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(1, to: 0) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setParent(3, to: 0) }
    expect(CDELTA_ERROR_CHECKSUM) { $0.setParent(4, to: 0) }
    expect(CDELTA_ERROR_CHECKSUM) { $0.setParent(4, to: Layout.none) }
  }

  @Test
  func `eight ancestors are read, and nine refused, in whatever order`() throws {
    let frames = [[UInt32]](repeating: [1, 2, 3], count: 10)
    var layout = Layout(try codec.encode(frames))
    let root = try #require((0..<10).first { layout.parent($0) == Layout.none })
    let chain = [root] + (0..<10).filter { $0 != root }
    for i in 1...8 { layout.setParent(chain[i], to: chain[i - 1]) }
    #expect(try codec.pick(chain.reversed(), of: layout.bytes, parameters: 3) == frames)
    layout.setParent(chain[9], to: chain[8])
    for wanted in [[chain[9]], chain, chain.reversed()] {
      #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_CORRUPT.rawValue))) {
        try codec.pick(wanted, of: layout.bytes, parameters: 3)
      }
    }
    #expect(
      try codec.pick(Array(chain.dropLast()), of: layout.bytes, parameters: 3) == Array(frames.dropLast()))
  }

  @Test
  func `kinds and sizes that do not go together`() {
    for kind in 4...255 { expect(CDELTA_ERROR_CORRUPT) { $0.setKind(5, to: kind) } }
    expect(CDELTA_ERROR_CORRUPT) { $0.setKind(3, to: 0) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setBodyBytes(4, to: 1) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setBodyBytes(3, to: 479) }
    expect(CDELTA_ERROR_LENGTH) { $0.setBodyBytes(0, to: $0.bodyBytes(0) - 1) }
    expect(CDELTA_ERROR_LENGTH) { $0.setBodyBytes(0, to: .max) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setCodeBytes(1, to: $0.bodyBytes(1) + 1) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setCodeBytes(1, to: $0.codeBytes(1) - 1) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setCodeBytes(1, to: $0.codeBytes(1) + 1) }
    expect(CDELTA_ERROR_CORRUPT) { $0.setCodeBytes(1, to: 0) }
    for stream in 0..<7 {
      expect(CDELTA_ERROR_CORRUPT) { $0.setStreamBytes(2, stream, to: 0xFFFF) }
      expect(CDELTA_ERROR_CORRUPT) { $0.setStreamBytes(2, stream, to: 0) }
      expect(CDELTA_ERROR_CORRUPT) { $0.setStreamBytes(2, stream, to: $0.streamBytes(2, stream) + 1) }
    }
  }

  @Test(arguments: [1, 9, 120, 5000, 70_000])
  func `streams that lead beyond the end of the chunk are an error`(parameters: Int) throws {
    var generator = SeededGenerator(seed: 12)
    let frames = generator.walk(frames: 2, parameters: parameters, step: 0.1)
    for frames in [frames, [frames[0]]] {
      // All ones: in most codes the longest one, with the most bits to follow.
      var layout = Layout(try codec.encode(frames))
      let last = frames.count - 1
      let streams = layout.bytes.count - layout.bodyBytes(last) + layout.codeBytes(last)
      let kept = min(3, layout.bytes.count - streams)
      layout.setBodyBytes(last, to: layout.codeBytes(last) + kept)
      for stream in 0..<7 { layout.setStreamBytes(last, stream, to: stream == 0 ? kept : 0) }
      layout.bytes = layout.bytes.prefix(streams) + [UInt8](repeating: 0xFF, count: kept)
      #expect(throws: Codec.Failure.self) {
        try codec.decode(layout.bytes, parameters: parameters, frames: 0..<frames.count)
      }
    }
  }

  @Test
  func `errors say which of the caller's numbers is wrong`() throws {
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
    other[3] = 1
    #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_FORMAT.rawValue))) { try decode(other) }
    #expect(throws: Codec.Failure(code: Int64(CDELTA_ERROR_ARGUMENT.rawValue))) {
      try codec.pick([0, 6], of: chunk, parameters: 120)
    }
    for code in Int64(-9)...0 { #expect(String(cString: cdelta_error(code)).count > 4) }
  }
}
