import CDeltaCodec
import CZstd
import Corpus

/// Turns G checkpoints of P parameters into an HDF5 chunk's bytes and back, as the shard's codec says.
///
/// Owns the compressor's state and scratch memory, so it serves one thread; every worker has its own.
struct ChunkCodec: ~Copyable {
  let codec: Codec
  /// G.
  let rows: Int
  /// P.
  let parameters: Int

  private let delta: OpaquePointer
  private let compressor: OpaquePointer
  private let decompressor: OpaquePointer
  /// As long as a chunk's values: the shuffled bytes of codec `zstd`.
  private let scratch: UnsafeMutableRawBufferPointer

  /// The zstd level: entropy coding does nearly all of the work on weights, and higher levels search for
  /// repetitions that are not there.
  private static let zstdLevel: Int32 = 3

  init(header: ShardHeader) throws(CorpusError) {
    codec = header.codec
    rows = header.rowsPerChunk
    parameters = header.parameterCount
    guard let delta = cdelta_create(), let compressor = ZSTD_createCCtx(),
      let decompressor = ZSTD_createDCtx()
    else {
      throw CorpusError(.resource, "there is no memory for a codec", remedy: "use fewer --workers")
    }
    self.delta = delta
    self.compressor = compressor
    self.decompressor = decompressor
    scratch = .allocate(byteCount: 4 * rows * parameters, alignment: 64)
    ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, Self.zstdLevel)
    ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1)
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
      codec == .delta ? cdelta_bound(UInt32(rows), UInt32(parameters)) : ZSTD_compressBound(scratch.count)
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
    func damaged(_ what: String) -> CorpusError {
      HDF5.damaged(source(), "a chunk of its parameters does not decode", cause: what)
    }
    switch codec {
    case .delta:
      var frames: UInt32 = 0
      var length: UInt32 = 0
      guard cdelta_header(bytes.baseAddress, bytes.count, &frames, &length) == 0, frames == rows else {
        throw damaged("it does not hold \(rows) checkpoints")
      }
      let result = cdelta_decode(
        delta, bytes.baseAddress, bytes.count, UInt32(parameters), UInt32(range.lowerBound),
        UInt32(range.count), output.baseAddress)
      guard result >= 0 else { throw damaged(String(cString: cdelta_error(result))) }
    case .zstd:
      guard ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count) == UInt64(scratch.count) else {
        throw damaged("it does not hold \(rows) checkpoints")
      }
      let size = ZSTD_decompressDCtx(
        decompressor, scratch.baseAddress, scratch.count, bytes.baseAddress, bytes.count)
      guard ZSTD_isError(size) == 0 else { throw damaged(String(cString: ZSTD_getErrorName(size))) }
      guard size == scratch.count else { throw damaged("it is too short") }
      unshuffle(range, into: output)
    }
  }

  /// HDF5's shuffle filter: the first bytes of all elements, then the second ones, and so on.
  private func shuffle(_ values: UnsafeRawBufferPointer) {
    let count = rows * parameters
    for plane in 0..<4 {
      for i in 0..<count { scratch[plane * count + i] = values[4 * i + plane] }
    }
  }

  private func unshuffle(_ range: Range<Int>, into output: UnsafeMutableBufferPointer<Float>) {
    let count = rows * parameters
    let first = range.lowerBound * parameters
    for i in 0..<output.count {
      let j = first + i
      output[i] = Float(
        bitPattern: UInt32(scratch[j]) | UInt32(scratch[count + j]) << 8 | UInt32(scratch[2 * count + j])
          << 16
          | UInt32(scratch[3 * count + j]) << 24)
    }
  }
}
