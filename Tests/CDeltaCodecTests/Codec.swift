import CDeltaCodec

/// The codec over bit patterns: a `Float` that passes through Swift could quiet a signalling NaN.
final class Codec {
  struct Failure: Error, Equatable { var code: Int64 }

  private let context = cdelta_create()

  deinit { cdelta_free(context) }

  func encode(_ frames: [[UInt32]]) throws -> [UInt8] {
    let parameters = UInt32(frames[0].count)
    let values = frames.flatMap { $0 }
    var chunk = [UInt8](repeating: 0xAA, count: cdelta_bound(UInt32(frames.count), parameters))
    let size = values.withUnsafeBytes { values in
      cdelta_encode(
        context, values.assumingMemoryBound(to: Float.self).baseAddress, UInt32(frames.count), parameters,
        &chunk,
        chunk.count)
    }
    guard size > 0 else { throw Failure(code: size) }
    return Array(chunk.prefix(Int(size)))
  }

  /// The chunk lies at the end of its own allocation, where reading on would be noticed by a sanitizer.
  func decode(_ chunk: [UInt8], parameters: Int, frames: Range<Int>) throws -> [[UInt32]] {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(chunk.count, 1), alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: chunk)
    var values = [UInt32](repeating: 0xDEAD_BEEF, count: frames.count * parameters)
    let count = values.withUnsafeMutableBytes { values in
      cdelta_decode(
        context, copy.baseAddress, chunk.count, UInt32(parameters), UInt32(frames.lowerBound),
        UInt32(frames.count), values.assumingMemoryBound(to: Float.self).baseAddress)
    }
    guard count == frames.count else { throw Failure(code: count) }
    return frames.indices.map { i in
      let start = (i - frames.lowerBound) * parameters
      return Array(values[start..<start + parameters])
    }
  }
}

/// SplitMix64: a generator that a failing test's seed reproduces.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A training run in small: values about 0.1 whose steps are `step` in relative size.
  mutating func walk(frames: Int, parameters: Int, step: Float) -> [[UInt32]] {
    var values = (0..<parameters).map { _ in Float.random(in: -0.1...0.1, using: &self) }
    return (0..<frames).map { _ in
      for i in values.indices { values[i] += values[i] * Float.random(in: -step...step, using: &self) }
      return values.map(\.bitPattern)
    }
  }

  mutating func noise(frames: Int, parameters: Int) -> [[UInt32]] {
    (0..<frames).map { _ in (0..<parameters).map { _ in UInt32.random(in: 0 ... .max, using: &self) } }
  }
}
