import CDeltaCodec
import CZstd
import Corpus

/// Turns G checkpoints of P parameters into an HDF5 chunk's bytes and back, as the shard's codec says.
///
/// Owns the compressor's state and scratch memory, so it serves one thread; every worker has its own.
struct ChunkCodec: ~Copyable {
  let layout: ChunkLayout

  private let delta: OpaquePointer
  /// Of codec `zstd` alone, as they are not cheap to make: a reader of many small shards makes a codec for each.
  private let compressor: OpaquePointer?
  private let decompressor: OpaquePointer?
  /// As long as a chunk's values: the shuffled bytes of codec `zstd`; empty for the other codecs.
  private let scratch: UnsafeMutableRawBufferPointer

  /// The zstd level: entropy coding does nearly all of the work on weights, and higher levels search for
  /// repetitions that are not there.
  private static let zstdLevel: Int32 = 3

  private var codec: Codec { layout.codec }
  private var rows: Int { layout.rows }
  private var parameters: Int { layout.parameters }
  /// The length of a chunk's values.
  private var byteCount: Int { 4 * rows * parameters }

  init(_ layout: ChunkLayout) throws(CorpusError) {
    self.layout = layout
    let isZstd = layout.codec == .zstd
    compressor = isZstd ? ZSTD_createCCtx() : nil
    decompressor = isZstd ? ZSTD_createDCtx() : nil
    guard let delta = cdelta_create(), !isZstd || compressor != nil && decompressor != nil else {
      throw CorpusError(.resource, "there is no memory for a codec", remedy: "use fewer --workers")
    }
    self.delta = delta
    scratch = .allocate(byteCount: isZstd ? 4 * layout.rows * layout.parameters : 0, alignment: 64)
    if isZstd {
      ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, Self.zstdLevel)
      ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1)
    }
  }

  deinit {
    cdelta_free(delta)
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
    scratch.deallocate()
  }

  /// The bytes of a chunk.
  ///
  /// - Parameter values: G × P.
  mutating func encode(_ values: UnsafeBufferPointer<Float>) throws(CorpusError) -> [UInt8] {
    precondition(values.count == rows * parameters)
    let bound =
      switch codec {
      case .delta: cdelta_bound(UInt32(rows), UInt32(parameters))
      case .zstd: ZSTD_compressBound(byteCount)
      case .raw: byteCount
      }
    var length: Int64 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: bound) { output, count in
      switch codec {
      case .delta:
        length = cdelta_encode(
          delta, values.baseAddress, UInt32(rows), UInt32(parameters), output.baseAddress, bound)
      case .zstd:
        shuffle(UnsafeRawBufferPointer(values))
        let size = ZSTD_compress2(compressor, output.baseAddress, bound, scratch.baseAddress, scratch.count)
        length = ZSTD_isError(size) == 0 ? Int64(size) : -1
      case .raw:
        UnsafeMutableRawBufferPointer(output).copyMemory(from: UnsafeRawBufferPointer(values))
        length = Int64(byteCount)
      }
      count = max(Int(length), 0)
    }
    guard length > 0 else {
      throw CorpusError(.resource, "a chunk cannot be compressed", remedy: "report this as a bug")
    }
    return bytes
  }

  /// Decodes the checkpoints `range` of a chunk.
  ///
  /// - Parameters:
  ///   - output: range.count × P.
  ///   - source: the file and run that the chunk belongs to, for the error.
  mutating func decode(
    _ bytes: UnsafeRawBufferPointer, rows range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>,
    source: @autoclosure () -> String
  ) throws(CorpusError) {
    precondition(output.count == range.count * parameters && range.upperBound <= rows)
    guard let base = output.baseAddress else { return }
    if codec == .delta {
      let result = cdelta_decode(
        delta, bytes.baseAddress, bytes.count, UInt32(parameters), UInt32(range.lowerBound),
        UInt32(range.count), base)
      try requireDecoded(result, bytes, source)
      return
    }
    try open(bytes, source)
    for row in range { copy(row: row, of: bytes, to: base + (row - range.lowerBound) * parameters) }
  }

  /// Decodes one checkpoint of a chunk, to P floats.
  mutating func decode(
    _ bytes: UnsafeRawBufferPointer, row: Int, into output: UnsafeMutablePointer<Float>,
    source: @autoclosure () -> String
  ) throws(CorpusError) {
    var (pick, target) = (UInt32(row), Optional(output))
    try decode(bytes, count: 1, &pick, &target, source)
  }

  /// Decodes single checkpoints of a chunk: row `picks[i]` to the P floats at `outputs[i]`.
  mutating func decode(
    _ bytes: UnsafeRawBufferPointer, picks: [UInt32], into outputs: [UnsafeMutablePointer<Float>?],
    source: @autoclosure () -> String
  ) throws(CorpusError) {
    precondition(picks.count == outputs.count)
    try decode(bytes, count: picks.count, picks, outputs, source)
  }

  private mutating func decode(
    _ bytes: UnsafeRawBufferPointer, count: Int, _ picks: UnsafePointer<UInt32>,
    _ outputs: UnsafePointer<UnsafeMutablePointer<Float>?>, _ source: () -> String
  ) throws(CorpusError) {
    precondition((0..<count).allSatisfy { picks[$0] < rows })
    if codec == .delta {
      let result = cdelta_decode_rows(
        delta, bytes.baseAddress, bytes.count, UInt32(parameters), UInt32(count), picks, outputs)
      try requireDecoded(result, bytes, source)
      return
    }
    try open(bytes, source)
    for i in 0..<count {
      if let output = outputs[i] { copy(row: Int(picks[i]), of: bytes, to: output) }
    }
  }

  private func damaged(_ source: () -> String, _ what: String) -> CorpusError {
    CorpusError.damagedShard(source(), "a chunk of its parameters does not decode", cause: what)
  }

  /// Turns the result of the codec `delta` into an error.
  private func requireDecoded(
    _ result: Int64, _ bytes: UnsafeRawBufferPointer, _ source: () -> String
  ) throws(CorpusError) {
    guard result >= 0 else { throw damaged(source, String(cString: cdelta_error(result))) }
    var frames: UInt32 = 0
    var length: UInt32 = 0
    guard cdelta_header(bytes.baseAddress, bytes.count, &frames, &length) == 0, frames == rows else {
      throw damaged(source, "it does not hold \(rows) checkpoints")
    }
  }

  /// Brings the values of a chunk to where ``copy(row:of:to:)`` reads them.
  private mutating func open(_ bytes: UnsafeRawBufferPointer, _ source: () -> String) throws(CorpusError) {
    if codec == .raw {
      guard bytes.count == byteCount else {
        throw damaged(source, "it does not hold \(rows) checkpoints")
      }
      return
    }
    guard ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count) == UInt64(scratch.count) else {
      throw damaged(source, "it does not hold \(rows) checkpoints")
    }
    let size = ZSTD_decompressDCtx(
      decompressor, scratch.baseAddress, scratch.count, bytes.baseAddress, bytes.count)
    guard ZSTD_isError(size) == 0 else { throw damaged(source, String(cString: ZSTD_getErrorName(size))) }
    guard size == scratch.count else { throw damaged(source, "it is too short") }
  }

  /// Copies a checkpoint of an open chunk.
  private func copy(row: Int, of bytes: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<Float>) {
    let target = UnsafeMutableBufferPointer(start: output, count: parameters)
    if codec == .zstd { return unshuffle(row, into: target) }
    let size = 4 * parameters
    UnsafeMutableRawBufferPointer(target).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: bytes[(row * size)..<((row + 1) * size)]))
  }

  /// HDF5's shuffle filter: the first bytes of all elements, then the second ones, and so on.
  private func shuffle(_ values: UnsafeRawBufferPointer) {
    let count = rows * parameters
    for plane in 0..<4 {
      for i in 0..<count { scratch[plane * count + i] = values[4 * i + plane] }
    }
  }

  private func unshuffle(_ row: Int, into output: UnsafeMutableBufferPointer<Float>) {
    let count = rows * parameters
    let first = row * parameters
    for i in 0..<output.count {
      let j = first + i
      output[i] = Float(
        bitPattern: UInt32(scratch[j]) | UInt32(scratch[count + j]) << 8 | UInt32(scratch[2 * count + j])
          << 16
          | UInt32(scratch[3 * count + j]) << 24)
    }
  }
}
