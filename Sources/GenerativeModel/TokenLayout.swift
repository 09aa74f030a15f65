import Corpus

/// How a parameter vector is cut into tokens: chunks that never cross a tensor's end.
struct TokenLayout: Sendable {
  /// Where each chunk lies in the parameter vector.
  let chunks: [Range<Int>]
  /// The scalars behind them: diffusion step, metric difference (target - start), target metric, starting metric.
  static let scalars = 4

  init(_ architecture: Architecture, chunk: Int?) {
    var chunks: [Range<Int>] = []
    var start = 0
    for tensor in architecture.tensors {
      let end = start + tensor.count
      for first in stride(from: start, to: end, by: chunk ?? tensor.count) {
        chunks.append(first..<min(end, first + (chunk ?? tensor.count)))
      }
      start = end
    }
    self.chunks = chunks
  }

  /// T: the noised target's chunks, then the start's, then the scalars.
  var count: Int { 2 * chunks.count + Self.scalars }
}
