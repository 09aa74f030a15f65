/// The inner product of two vectors of one length, in eight sums side by side.
func innerProduct(_ one: [Float], _ other: [Float]) -> Float {
  one.withUnsafeBytes { one in
    other.withUnsafeBytes { other in
      var sums = SIMD8<Float>(repeating: 0)
      let (count, whole) = (one.count / 4, one.count / 32)
      for vector in 0..<whole {
        sums.addProduct(
          one.loadUnaligned(fromByteOffset: 32 * vector, as: SIMD8<Float>.self),
          other.loadUnaligned(fromByteOffset: 32 * vector, as: SIMD8<Float>.self))
      }
      var sum = sums.sum()
      for index in (8 * whole)..<count {
        sum +=
          one.load(fromByteOffset: 4 * index, as: Float.self)
          * other.load(fromByteOffset: 4 * index, as: Float.self)
      }
      return sum
    }
  }
}
