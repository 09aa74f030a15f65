internal import CKernels
internal import Corpus
import VectorKernels

/// The order of the training images in an epoch: a permutation that depends on the seed and the stream alone.
struct ImageOrder: ~Copyable {
  /// (count): what is there after ``shuffle(stream:)``.
  let images: AlignedBuffer<UInt32>
  private let kernels: Kernels
  private let seed: UInt64
  private let words = AlignedBuffer<UInt32>(count: 4096)

  init(count: Int, kernels: Kernels, seed: UInt64) {
    images = AlignedBuffer(count: count)
    self.kernels = kernels
    self.seed = seed
  }

  /// Draws a permutation, all being equally likely, by Fisher and Yates's method, the last position first. Takes the
  /// stream's words in order, as ``PhiloxGenerator/integer(below:)`` does.
  func shuffle(stream: UInt64) {
    for i in 0..<images.count { images.base[i] = UInt32(i) }
    var position = 0
    func nextWord() -> UInt32 {
      let index = position % words.count
      if index == 0 {
        kernels.functions.random_words(seed, stream, UInt64(position / 4), words.count, words.base)
      }
      position += 1
      return words.base[index]
    }
    func integer(below bound: UInt32) -> Int {
      while true {
        if let integer = PhiloxGenerator.integer(nextWord(), below: bound) { return Int(integer) }
      }
    }
    for last in stride(from: images.count - 1, to: 0, by: -1) {
      let other = integer(below: UInt32(last + 1))
      (images.base[last], images.base[other]) = (images.base[other], images.base[last])
    }
  }
}
