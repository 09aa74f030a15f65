internal import CKernels
import VectorKernels

/// The order of the training images in an epoch: a permutation that depends on the seed and the stream alone.
struct EpochOrder: ~Copyable {
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

  /// Draws a permutation, all being equally likely, by Fisher and Yates's method: the last place first. Takes
  /// the stream's words in order, as ``PhiloxGenerator/integer(below:)`` does.
  func shuffle(stream: UInt64) {
    for i in 0..<images.count { images.base[i] = UInt32(i) }
    var position = 0
    func nextWord() -> UInt32 {
      let place = position % words.count
      if place == 0 {
        kernels.functions.random_words(seed, stream, UInt64(position / 4), words.count, words.base)
      }
      position += 1
      return words.base[place]
    }
    for last in stride(from: images.count - 1, to: 0, by: -1) {
      let bound = UInt32(last + 1)
      var product = bound.multipliedFullWidth(by: nextWord())
      if product.low < bound {
        let threshold = (0 &- bound) % bound
        while product.low < threshold { product = bound.multipliedFullWidth(by: nextWord()) }
      }
      let other = Int(product.high)
      (images.base[last], images.base[other]) = (images.base[other], images.base[last])
    }
  }
}
