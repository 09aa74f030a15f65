import CDeltaCodec
import Testing

@Suite struct RoundTripTests {
  let codec = Codec()

  private func expectRoundTrip(
    _ frames: [[UInt32]], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let chunk = try codec.encode(frames)
    let decoded = try codec.decode(chunk, parameters: frames[0].count, frames: 0..<frames.count)
    #expect(decoded == frames, sourceLocation: sourceLocation)
  }

  /// One of each kind of float, at both ends of its range.
  static let specials: [UInt32] = [
    0x0000_0000, 0x8000_0000,  // zeros
    0x0000_0001, 0x8000_0001, 0x007F_FFFF, 0x807F_FFFF,  // denormals
    0x0080_0000, 0x8080_0000, 0x3F80_0000, 0xBF80_0000, 0x7F7F_FFFF, 0xFF7F_FFFF,  // numbers
    0x7F80_0000, 0xFF80_0000,  // infinities
    0x7F80_0001, 0xFF80_0001, 0x7FBF_FFFF, 0xFFBF_FFFF,  // signalling NaNs
    0x7FC0_0000, 0xFFC0_0000, 0x7FC1_2345, 0x7FFF_FFFF, 0xFFFF_FFFF,  // quiet NaNs
  ]

  @Test
  func `every special float, followed by every other`() throws {
    let specials = Self.specials
    try expectRoundTrip([specials])
    try expectRoundTrip(specials.indices.map { i in Array(specials[i...] + specials[..<i]) })
    for a in specials {
      for b in specials { try expectRoundTrip([[a], [b]]) }
    }
  }

  @Test(arguments: [UInt64(1), 2, 3])
  func `every small shape`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for frames in 1...12 {
      for parameters in 1...40 {
        try expectRoundTrip(generator.noise(frames: frames, parameters: parameters))
        try expectRoundTrip(generator.walk(frames: frames, parameters: parameters, step: 0.01))
        try expectRoundTrip(.init(repeating: .init(repeating: 0, count: parameters), count: frames))
      }
    }
  }

  @Test(
    arguments: [
      (200, 2), (130, 1), (31, 9), (32, 9), (33, 9), (34, 9), (25, 1250), (14, 1249), (3, 4095), (3, 4096),
      (3, 5370), (4, 7960), (2, 65535), (2, 65536), (2, 65537), (2, 140_000),
    ], [Float(1e-6), 1e-3, 1])
  func `walks over shapes on both sides of a window, codes of one's own and longer sizes`(
    shape: (frames: Int, parameters: Int), step: Float
  ) throws {
    var generator = SeededGenerator(seed: 4)
    try expectRoundTrip(generator.walk(frames: shape.frames, parameters: shape.parameters, step: step))
  }

  @Test
  func `one context serves frames of changing size`() throws {
    var generator = SeededGenerator(seed: 5)
    for parameters in [1250, 3, 70_000, 1250, 1] {
      try expectRoundTrip(generator.walk(frames: 3, parameters: parameters, step: 0.01))
    }
  }

  @Test(arguments: UInt64(0)..<60)
  func `sparse, repeated and random frames in any order`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let parameters = Int.random(in: 1...700, using: &generator)
    var frames: [[UInt32]] = []
    for _ in 0..<Int.random(in: 1...20, using: &generator) {
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: frames.append(.init(repeating: 0, count: parameters))
      case 1: frames.append(frames.last ?? .init(repeating: 0x8000_0000, count: parameters))
      case 2:
        let special = Self.specials.randomElement(using: &generator) ?? 0
        frames.append(.init(repeating: special, count: parameters))
      case 3: frames += generator.noise(frames: 1, parameters: parameters)
      default: frames += generator.walk(frames: 2, parameters: parameters, step: 1e-4)
      }
    }
    try expectRoundTrip(frames)
  }

  @Test
  func `any range of frames decodes to the same values as the whole`() throws {
    var generator = SeededGenerator(seed: 6)
    // Two windows, and in the middle and at the end frames of zeros.
    var frames = generator.walk(frames: 36, parameters: 100, step: 1e-3)
    frames[20] = .init(repeating: 0, count: 100)
    frames += [frames[20], frames[20]]
    let chunk = try codec.encode(frames)
    for first in frames.indices {
      for end in first + 1...frames.count {
        let decoded = try codec.decode(chunk, parameters: 100, frames: first..<end)
        #expect(decoded == Array(frames[first..<end]))
      }
    }
  }

  @Test
  func `any list of frames in any order, with duplicates, gives the same values as the whole`() throws {
    var generator = SeededGenerator(seed: 11)
    for parameters in [1, 100, 4096] {
      var frames = generator.walk(frames: 40, parameters: parameters, step: 1e-3)
      frames[7] = .init(repeating: 0, count: parameters)
      frames[9] = frames[10]
      frames[33] = generator.noise(frames: 1, parameters: parameters)[0]
      let chunk = try codec.encode(frames)
      var lists = [[], Array(0..<40), Array((0..<40).reversed()), .init(repeating: 3, count: 50)]
      for a in 0..<40 {
        lists.append([a])
        for b in 0..<40 { lists.append([a, b]) }
      }
      for _ in 0..<300 {
        let count = Int.random(in: 1...60, using: &generator)
        lists.append((0..<count).map { _ in Int.random(in: 0..<40, using: &generator) })
      }
      for list in lists {
        #expect(try codec.pick(list, of: chunk, parameters: parameters) == list.map { frames[$0] })
      }
    }
  }

  @Test(arguments: 1...70)
  func `a frame is built from at most two others`(frames: Int) throws {
    var generator = SeededGenerator(seed: UInt64(frames))
    let layout = Layout(try codec.encode(generator.walk(frames: frames, parameters: 40, step: 1e-3)))
    for frame in 0..<frames {
      let path = sequence(first: frame) { layout.parent($0) == Layout.none ? nil : layout.parent($0) }
      #expect(Array(path.prefix(10)).count <= 3)
    }
  }

  @Test
  func `padding costs next to nothing, and small steps cost less than large ones`() throws {
    var generator = SeededGenerator(seed: 7)
    let walk = generator.walk(frames: 20, parameters: 1250, step: 1e-3)
    let padding = [[UInt32]](repeating: .init(repeating: 0, count: 1250), count: 30)
    let plain = try codec.encode(walk)
    let padded = try codec.encode(walk + padding)
    #expect(padded.count - plain.count == 30 * 28)
    #expect(Double(20 * 5000) / Double(plain.count) > 1.5)
    let smooth = try codec.encode(generator.walk(frames: 20, parameters: 1250, step: 1e-5))
    #expect(smooth.count < plain.count * 3 / 4)
    let noise = try codec.encode(generator.noise(frames: 20, parameters: 1250))
    #expect(noise.count < 20 * (5000 + 28) + 12 + 288)
  }

  @Test
  func `the bound holds for noise in every small shape, and refuses shapes out of range`() throws {
    #expect(cdelta_bound(0, 1) == 0)
    #expect(cdelta_bound(1, 0) == 0)
    #expect(cdelta_bound(CDELTA_MAX_FRAMES + 1, 1) == 0)
    #expect(cdelta_bound(1, CDELTA_MAX_PARAMETERS + 1) == 0)
    let value: Float = 1
    var byte: UInt8 = 0
    let context = cdelta_create()
    defer { cdelta_free(context) }
    withUnsafePointer(to: value) { values in
      #expect(cdelta_encode(context, values, 1, 1, &byte, 1) == Int64(CDELTA_ERROR_CAPACITY.rawValue))
      #expect(cdelta_encode(context, values, 0, 1, &byte, 1) == Int64(CDELTA_ERROR_ARGUMENT.rawValue))
    }
  }
}
