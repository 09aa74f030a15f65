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

  /// Frames in any order; each output is an allocation of its own.
  func pick(_ wanted: [Int], of chunk: [UInt8], parameters: Int) throws -> [[UInt32]] {
    let outputs = wanted.map { _ in UnsafeMutableBufferPointer<UInt32>.allocate(capacity: parameters) }
    defer { for output in outputs { output.deallocate() } }
    for output in outputs { output.initialize(repeating: 0xDEAD_BEEF) }
    let pointers = outputs.map {
      UnsafeMutableRawPointer($0.baseAddress)?.assumingMemoryBound(to: Float.self)
    }
    let count = cdelta_decode_rows(
      context, chunk, chunk.count, UInt32(parameters), UInt32(wanted.count), wanted.map(UInt32.init), pointers
    )
    guard count == wanted.count else { throw Failure(code: count) }
    return outputs.map(Array.init)
  }
}

/// Where a chunk's fields lie, as Schemas/delta-codec.md has it.
struct Layout {
  enum Kind: UInt8 { case same, raw, alone, difference }

  static let none = 0xFFFF
  var bytes: [UInt8]

  init(_ chunk: [UInt8]) { bytes = chunk }

  private func number(_ place: Int, _ count: Int) -> Int {
    (0..<count).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
  }

  private mutating func set(_ place: Int, _ count: Int, to value: Int) {
    for i in 0..<count { bytes[place + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
  }

  var parameters: Int { number(4, 4) }
  var frames: Int { number(8, 2) }
  var directory: Int { 12 + number(10, 2) }
  var streamField: Int { parameters <= 65536 ? 2 : 4 }
  var entryBytes: Int { 14 + 7 * streamField }
  var bodies: Int { directory + frames * entryBytes }

  private func entry(_ frame: Int) -> Int { directory + frame * entryBytes }

  func kind(_ frame: Int) -> Kind? { Kind(rawValue: bytes[entry(frame)]) }
  func parent(_ frame: Int) -> Int { number(entry(frame) + 2, 2) }
  func bodyBytes(_ frame: Int) -> Int { number(entry(frame) + 8, 4) }
  func codeBytes(_ frame: Int) -> Int { number(entry(frame) + 12, 2) }
  func streamBytes(_ frame: Int, _ stream: Int) -> Int {
    number(entry(frame) + 14 + stream * streamField, streamField)
  }

  mutating func setKind(_ frame: Int, to value: Int) { set(entry(frame), 1, to: value) }
  mutating func setParent(_ frame: Int, to value: Int) { set(entry(frame) + 2, 2, to: value) }
  mutating func setBodyBytes(_ frame: Int, to value: Int) { set(entry(frame) + 8, 4, to: value) }
  mutating func setCodeBytes(_ frame: Int, to value: Int) { set(entry(frame) + 12, 2, to: value) }
  mutating func setStreamBytes(_ frame: Int, _ stream: Int, to value: Int) {
    set(entry(frame) + 14 + stream * streamField, streamField, to: value)
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
