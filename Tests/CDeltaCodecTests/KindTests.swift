import CDeltaCodec
import Testing

/// Every way to store a frame, and every shape of its codes, as far as values alone can bring them about.
@Suite("Kinds of frames and their codes") struct KindTests {
  let codec = Codec()

  private func expectRoundTrip(_ frames: [[UInt32]]) throws -> Layout {
    let chunk = try codec.encode(frames)
    let decoded = try codec.decode(chunk, parameters: frames[0].count, frames: 0..<frames.count)
    #expect(decoded == frames)
    for (frame, values) in frames.enumerated() {
      #expect(try codec.pick([frame], of: chunk, parameters: values.count) == [values])
    }
    return Layout(chunk)
  }

  @Test(arguments: [120, 4095, 4096, 65536, 65537])
  func `same, raw, alone and difference, with codes of its own from 4096 parameters on`(parameters: Int)
    throws
  {
    var generator = SeededGenerator(seed: 20)
    var frames = generator.walk(frames: 3, parameters: parameters, step: 1e-3)
    frames.append(.init(repeating: 0, count: parameters))
    frames += generator.noise(frames: 1, parameters: parameters)
    frames.append(frames[1])
    let layout = try expectRoundTrip(frames)
    #expect(
      frames.indices.map { layout.kind($0) } == [.difference, .alone, .difference, .same, .raw, .same])
    #expect((layout.parent(3), layout.parent(5)) == (Layout.none, 1))
    #expect(layout.codeBytes(1) > 0)
    #expect([0, 2].allSatisfy { (layout.codeBytes($0) > 0) == (parameters >= 4096) })
  }

  @Test(arguments: [(16, 4095, Layout.Kind.raw), (15, 4095, .alone), (15, 4096, .alone), (25, 7960, .raw)])
  func `the frame that others are built from is raw where frames are many, and coded elsewhere`(
    count: Int, parameters: Int, expected: Layout.Kind
  ) throws {
    var generator = SeededGenerator(seed: 24)
    let layout = try expectRoundTrip(generator.walk(frames: count, parameters: parameters, step: 1e-3))
    let parentless = (0..<count).filter { layout.parent($0) == Layout.none }
    #expect(parentless.map { layout.kind($0) } == [expected])
  }

  /// A frame whose differences from 1 have as many bits as it says: symbols, and how often each.
  private func frames(_ counts: [(symbol: Int, count: Int)], _ generator: inout SeededGenerator) -> [[UInt32]]
  {
    let values = counts.flatMap { symbol, count in
      (0..<count).map { _ in
        // One more than the folded difference; 2^32 is the one number of 32 bits below its highest.
        let low = symbol == 32 ? 0 : UInt64.random(in: 0..<1 << UInt64(symbol), using: &generator)
        let folded = UInt32(truncatingIfNeeded: (1 << UInt64(symbol)) + low &- 1)
        let ordered = 0x3F80_0000 &+ ((folded >> 1) ^ (0 &- (folded & 1)))
        return ordered >> 31 == 0 ? ordered : ordered ^ 0x7FFF_FFFF
      }
    }.shuffled(using: &generator)
    return [values, .init(repeating: 0x3F80_0000, count: values.count)]
  }

  @Test(arguments: [1, 7, 8, 100, 5000], 0...20)
  func `one symbol, which takes no bits`(count: Int, symbol: Int) throws {
    var generator = SeededGenerator(seed: 21)
    let layout = try expectRoundTrip(frames([(symbol, count)], &generator))
    guard count >= 100, symbol > 0 else { return }
    #expect(layout.kind(0) == .difference)
    #expect(layout.streamBytes(0, 0) == ((count + 7) / 8 * symbol + 7) / 8)
  }

  @Test
  func `all 33 symbols, each twice as frequent as the next: codes may not grow longer than 7 bits`() throws {
    var generator = SeededGenerator(seed: 22)
    for count in [1000, 100_000] {
      let layout = try expectRoundTrip(
        frames((0...32).map { (symbol: $0, count: max(1, count >> $0)) }, &generator))
      #expect(layout.kind(0) == .difference)
    }
  }

  @Test(arguments: UInt64(0)..<200)
  func `any set of symbols, however frequent`(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let symbols = (0...32).filter { _ in Bool.random(using: &generator) }.prefix(
      Int.random(in: 1...33, using: &generator))
    let counts = symbols.map { symbol in
      (symbol: symbol, count: 1 << Int.random(in: 0...10, using: &generator))
    }
    guard !counts.isEmpty else { return }
    _ = try expectRoundTrip(frames(counts, &generator))
  }

  @Test
  func `a frame alone with exponents of every distance from its largest`() throws {
    var generator = SeededGenerator(seed: 23)
    for top in [1, 31, 32, 33, 127, 254, 255] as [UInt32] {
      // Mostly large ones, so that coding pays.
      let values = (0..<3000).map { i -> UInt32 in
        let exponent =
          i < 256 ? UInt32(i) % (top + 1) : top - UInt32.random(in: 0...min(top, 2), using: &generator)
        return exponent << 23 | UInt32.random(in: 0..<1 << 23, using: &generator) | UInt32(i % 2) << 31
      }
      let layout = try expectRoundTrip([values])
      #expect(layout.kind(0) == .alone)
    }
  }

  @Test
  func `frames of NaNs, infinities and denormals only, alone and as differences`() throws {
    var generator = SeededGenerator(seed: 24)
    for high in [0x7F80_0000, 0xFF80_0000, 0, 0x8000_0000] as [UInt32] {
      let frames = (0..<3).map { _ in
        (0..<500).map { i in
          high | UInt32(i * 7919 % 0x7F_FFFF) &+ UInt32.random(in: 0..<4, using: &generator)
        }
      }
      let layout = try expectRoundTrip(frames)
      #expect((0..<3).map { layout.kind($0) } == [.difference, .alone, .difference])
    }
  }
}
