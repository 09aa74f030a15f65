import CKernels
import Corpus
import Foundation
import Testing

/// The kernels of one path that this processor runs.
struct Path: @unchecked Sendable, CustomTestStringConvertible {
  let name: String
  private let table: UnsafePointer<ck_kernels>
  var k: ck_kernels { table.pointee }
  var testDescription: String { name }

  init?(_ name: String) {
    guard let table = ck_kernels_named(name) else { return nil }
    self.name = name
    self.table = table
  }

  static let all = ["avx512", "avx2", "portable"].compactMap { Path($0) }
  /// The path that the others are compared with.
  static let reference = all[all.count - 1]
}

/// An array of floats at a multiple of 64 bytes. Never freed: a pointer outlives whatever it was taken from.
struct Floats {
  let p: UnsafeMutablePointer<Float>
  let count: Int

  init(count: Int) {
    p = UnsafeMutableRawPointer.allocate(byteCount: max(64, 4 * count), alignment: 64)
      .bindMemory(to: Float.self, capacity: count)
    p.initialize(repeating: 0, count: count)
    self.count = count
  }

  init(_ values: [Float]) {
    self.init(count: values.count)
    for (i, value) in values.enumerated() { p[i] = value }
  }

  var array: [Float] { Array(UnsafeBufferPointer(start: p, count: count)) }
  var doubles: [Double] { array.map(Double.init) }
  var bits: [UInt32] { array.map(\.bitPattern) }
  var copy: Floats { Floats(array) }
  var opaque: OpaquePointer { OpaquePointer(p) }
}

/// Numbers from -scale to scale, the same for the same stream.
func random(_ count: Int, scale: Float = 1, stream: UInt64) -> Floats {
  var generator = PhiloxGenerator(seed: 99, stream: stream)
  return Floats((0..<count).map { _ in scale * (2 * generator.uniform() - 1) })
}

/// Scratch memory and packed weights for one call.
func scratch() -> Floats { Floats(count: Int(CK_SCRATCH_BYTES) / 4) }

func packed(_ parameters: Floats, by k: ck_kernels) -> Floats {
  let result = Floats(count: Int(CK_MLP_BYTES) / 4)
  k.mlp_pack(parameters.p, result.opaque)
  return result
}

/// The largest difference, as a share of the largest reference.
func relativeError(_ values: [Double], _ reference: [Double]) -> Double {
  largest(zip(values, reference).map { abs($0 - $1) }) / largest(reference.map(\.magnitude))
}

/// The largest of some errors, infinite if one is not a number.
func largest(_ errors: [Double]) -> Double {
  errors.reduce(0) { $1.isNaN ? .infinity : max($0, $1) }
}

extension Double {
  /// How far a float lies from this, in units of the last place of this as a float.
  func ulps(to value: Float) -> Double { abs(Double(value) - self) / Double(Float(self).ulp) }
}
