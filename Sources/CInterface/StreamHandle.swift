import Platform
import ShardStore
public import CCheckpointCorpus
import Corpus
import PairSampling
import PairStream

/// `cc_stream`.
final class StreamHandle: Handle {
  let stream: PairStream
  let metric: CText
  let fingerprint: CText

  init(_ corpora: [WeightedCorpus], options: PairStreamOptions) throws(CorpusError) {
    stream = try PairStream(mixing: corpora, options: options)
    metric = CText(stream.metric.name)
    fingerprint = CText(stream.fingerprint)
  }
}

/// What keeps the memory of a `cc_batch`.
private final class BatchHandle: Handle {
  let batch: PairBatch

  init(_ batch: PairBatch) { self.batch = batch }
}

extension cc_batch {
  fileprivate init(_ batch: PairBatch) {
    self.init()
    count = Int64(batch.count)
    parameter_count = Int64(batch.parameterCount)
    epoch = Int64(batch.epoch)
    first_item = Int64(batch.firstItem)
    replacements = Int64(batch.replacements)
    // Whoever takes a batch has it for himself.
    start = UnsafeMutablePointer(mutating: batch.start.baseAddress)
    target = UnsafeMutablePointer(mutating: batch.target.baseAddress)
    start_metric = UnsafeMutablePointer(mutating: batch.startMetric.baseAddress)
    target_metric = UnsafeMutablePointer(mutating: batch.targetMetric.baseAddress)
    run = UnsafeMutablePointer(mutating: batch.run.baseAddress)
    start_step = UnsafeMutablePointer(mutating: batch.startStep.baseAddress)
    target_step = UnsafeMutablePointer(mutating: batch.targetStep.baseAddress)
    owner = UnsafeMutableRawPointer(BatchHandle(batch).passed())
  }
}

@c @implementation
public func cc_stream_open(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<cc_stream_options>?,
  _ stream: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let stream = try present(stream, "stream")
    let settings = try options?.pointee.copied() ?? PairStreamOptions()
    let corpus = try CorpusDirectory(opening: absolutePath(path, "path"))
    stream.pointee = try StreamHandle([(corpus, 1)], options: settings).passed()
  }
}

@c @implementation
public func cc_stream_open_mixture(
  _ shares: UnsafePointer<cc_stream_share>?, _ count: Int, _ options: UnsafePointer<cc_stream_options>?,
  _ stream: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let stream = try present(stream, "stream")
    let settings = try options?.pointee.copied() ?? PairStreamOptions()
    var mixed: [WeightedCorpus] = []
    for share in UnsafeBufferPointer(start: count == 0 ? nil : try present(shares, "shares"), count: count) {
      mixed.append((try CorpusDirectory(opening: absolutePath(share.path, "path")), share.share))
    }
    stream.pointee = try StreamHandle(mixed, options: settings).passed()
  }
}

@c @implementation
public func cc_stream_close(_ stream: OpaquePointer?) {
  guard let handle = stream.object(StreamHandle.self), handle.isOwn else { return }
  // Before the gate: a fork that waits for this call would keep the stream's threads from ending.
  handle.stream.stop()
  ForkGate.pass { stream.close(StreamHandle.self) }
}

@c @implementation
public func cc_stream_describe(_ stream: OpaquePointer?, _ facts: UnsafeMutablePointer<cc_stream_facts>?)
  -> Int32
{
  guarded { () throws(CorpusError) in
    let handle = try stream.opened(StreamHandle.self)
    let facts = try present(facts, "facts")
    let stream = handle.stream
    facts.pointee = cc_stream_facts(
      parameter_count: Int64(stream.parameterCount), runs: Int64(stream.runCount),
      items_per_epoch: Int64(stream.itemsPerEpoch), batches_per_epoch: Int64(stream.batchesPerEpoch),
      scale: stream.scale, augmentation: augmentation(of: stream), metric: handle.metric.start,
      fingerprint: handle.fingerprint.start)
  }
}

private func augmentation(of stream: PairStream) -> Int32 {
  switch stream.options.augmentation {
  case .none, .automatic: Int32(CC_AUGMENT_NONE)
  case .permute: Int32(CC_AUGMENT_PERMUTE)
  case .canonical: Int32(CC_AUGMENT_CANONICAL)
  }
}

@c @implementation
public func cc_stream_left_out(
  _ stream: OpaquePointer?, _ omissions: UnsafeMutablePointer<cc_stream_omissions>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let leftOut = try stream.opened(StreamHandle.self).stream.leftOut
    func runs(_ status: RunStatus) -> Int64 { Int64(leftOut.runs[status] ?? 0) }
    try present(omissions, "omissions").pointee = cc_stream_omissions(
      nonfinite: runs(.nonfinite), out_of_range: runs(.outOfRange), ok: runs(.ok),
      unmeasured: Int64(leftOut.unmeasured), singles: Int64(leftOut.singles), unused: (0, 0, 0))
  }
}

@c @implementation
public func cc_stream_statistics(
  _ stream: OpaquePointer?, _ counts: UnsafeMutablePointer<cc_stream_counts>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let known = try stream.opened(StreamHandle.self).stream.statistics
    try present(counts, "counts").pointee = cc_stream_counts(
      items: Int64(known.items), cached: Int64(known.cached), replaced: Int64(known.replaced), unused: 0)
  }
}

@c @implementation
public func cc_stream_position(
  _ stream: OpaquePointer?, _ epoch: UnsafeMutablePointer<Int64>?, _ batch: UnsafeMutablePointer<Int64>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let position = try stream.opened(StreamHandle.self).stream.position
    let (epoch, batch) = (try present(epoch, "epoch"), try present(batch, "batch"))
    epoch.pointee = Int64(position.epoch)
    batch.pointee = Int64(position.batch)
  }
}

@c @implementation
public func cc_stream_seek(_ stream: OpaquePointer?, _ epoch: Int64, _ batch: Int64) -> Int32 {
  guarded { () throws(CorpusError) in
    let position = PairStream.Position(epoch: Int(epoch), batch: Int(batch))
    try stream.opened(StreamHandle.self).stream.seek(position)
  }
}

@c @implementation
public func cc_stream_next(_ stream: OpaquePointer?, _ batch: UnsafeMutablePointer<cc_batch>?) -> Int32 {
  guarded { () throws(CorpusError) in
    let stream = try stream.opened(StreamHandle.self).stream
    let batch = try present(batch, "batch")
    batch.pointee = cc_batch(try stream.next())
  }
}

@c @implementation
public func cc_batch_sources(_ batch: UnsafePointer<cc_batch>?) -> UnsafePointer<Int32>? {
  guard let owner = batch?.pointee.owner else { return nil }
  return Optional(OpaquePointer(owner)).object(BatchHandle.self)?.batch.source.baseAddress
}

@c @implementation
public func cc_batch_release(_ batch: UnsafeMutablePointer<cc_batch>?) {
  guard let batch, let owner = batch.pointee.owner else { return }
  Optional(OpaquePointer(owner)).close(BatchHandle.self)
  batch.pointee = cc_batch()
}

@c @implementation
public func cc_stream_cancel(_ stream: OpaquePointer?) {
  guard let stream = stream.object(StreamHandle.self), stream.isOwn else { return }
  stream.stream.cancel()
}
