import CDeltaCodec
import Foundation
import Testing

/// `H5Z_class2_t`, as HDF5 lays it out; its last member is the filter function.
private struct FilterClass {
  var version: CInt
  var id: CInt
  var encoderPresent: CUnsignedInt
  var decoderPresent: CUnsignedInt
  var name: UnsafePointer<CChar>?
  var canApply: UnsafeRawPointer?
  var setLocal: UnsafeRawPointer?
  var filter:
    @convention(c) (
      CUnsignedInt, Int, UnsafePointer<CUnsignedInt>?, Int, UnsafeMutablePointer<Int>,
      UnsafeMutablePointer<UnsafeMutableRawPointer?>
    ) -> Int

  init(_ pointer: UnsafeRawPointer?) throws {
    self = try #require(pointer).load(as: FilterClass.self)
  }

  /// Runs the filter the way HDF5 does; nil is the filter's refusal.
  func run(_ bytes: [UInt8], values: [CUnsignedInt], reading: Bool) throws -> [UInt8]? {
    var buffer: UnsafeMutableRawPointer? = malloc(max(bytes.count, 1))
    defer { free(buffer) }
    try #require(buffer).copyMemory(from: bytes, byteCount: bytes.count)
    var capacity = bytes.count
    let size = filter(reading ? 0x0100 : 0, values.count, values, bytes.count, &capacity, &buffer)
    guard size > 0 else { return nil }
    #expect(capacity >= size)
    return Array(UnsafeRawBufferPointer(start: buffer, count: size))
  }
}

@Suite("HDF5 filters") struct FilterTests {
  let values: [UInt8]

  init() {
    var generator = SeededGenerator(seed: 9)
    let frames = generator.walk(frames: 10, parameters: 50, step: 1e-3)
    values = frames.flatMap { $0 }.withUnsafeBytes { Array($0) }
  }

  @Test func `delta round trip`() throws {
    let filter = try FilterClass(cdelta_hdf5_filter())
    #expect((filter.version, filter.id) == (1, CDELTA_HDF5_FILTER))
    let packed = try #require(try filter.run(values, values: [2, 50, 10], reading: false))
    #expect(packed.count < values.count)
    #expect(try filter.run(packed, values: [2, 50, 10], reading: true) == values)
    #expect(try filter.run(packed, values: [2, 25, 10], reading: true) == nil)
    // HDF5 would read past the end of a chunk that is shorter than its dataset's.
    #expect(try filter.run(packed, values: [2, 50, 20], reading: true) == nil)
    #expect(try filter.run(packed.dropLast(), values: [2, 50, 10], reading: true) == nil)
  }

  @Test
  func `refuses values that are missing, of another version, or do not divide the chunk`() throws {
    let filter = try FilterClass(cdelta_hdf5_filter())
    for clients: [CUnsignedInt] in [
      [], [2], [2, 50], [1, 50, 10], [3, 50, 10], [2, 0, 10], [2, 49, 10], [2, .max, 10], [2, 50, 9],
    ] {
      #expect(try filter.run(values, values: clients, reading: false) == nil)
    }
  }

  @Test(arguments: [[], [1], [9], [CUnsignedInt(bitPattern: -5)]] as [[CUnsignedInt]])
  func `zstd round trip`(clients: [CUnsignedInt]) throws {
    let filter = try FilterClass(cdelta_hdf5_zstd_filter())
    #expect((filter.version, filter.id) == (1, CDELTA_HDF5_ZSTD_FILTER))
    let packed = try #require(try filter.run(values, values: clients, reading: false))
    #expect(Array(packed.prefix(4)) == [0x28, 0xB5, 0x2F, 0xFD])
    #expect(try filter.run(packed, values: clients, reading: true) == values)
  }

  @Test
  func `zstandard's checksum finds a flipped bit in values that are stored raw`() throws {
    let filter = try FilterClass(cdelta_hdf5_zstd_filter())
    var generator = SeededGenerator(seed: 10)
    let noise = generator.noise(frames: 1, parameters: 100)[0].withUnsafeBytes { Array($0) }
    var packed = try #require(try filter.run(noise, values: [3], reading: false))
    packed[packed.count / 2] ^= 1
    #expect(try filter.run(packed, values: [3], reading: true) == nil)
    #expect(try filter.run([1, 2, 3], values: [3], reading: true) == nil)
  }
}
