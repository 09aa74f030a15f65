public import Corpus
import Dispatch

/// The batches of one epoch, for `for try await`.
public struct PairBatches: AsyncSequence, AsyncIteratorProtocol, Sendable {
  private let stream: PairStream
  private let epoch: Int

  init(stream: PairStream, epoch: Int) {
    self.stream = stream
    self.epoch = epoch
  }

  public func makeAsyncIterator() -> Self { self }

  /// The next batch, or nil at the end of the epoch. Cancelling the task cancels the stream.
  public func next() async throws -> PairBatch? {
    guard stream.position.epoch == epoch else { return nil }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        // Waiting would take a thread from Swift's own pool.
        DispatchQueue.global().async {
          continuation.resume(with: Result { () throws(CorpusError) in try stream.next() })
        }
      }
    } onCancel: {
      stream.cancel()
    }
  }
}

extension PairStream {
  /// The batches of an epoch, from where the stream stands if that is in it, else from its beginning.
  public func batches(ofEpoch epoch: Int) throws(CorpusError) -> PairBatches {
    if position.epoch != epoch { try seek(Position(epoch: epoch, batch: 0)) }
    return PairBatches(stream: self, epoch: epoch)
  }
}
