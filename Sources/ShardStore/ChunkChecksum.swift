import Platform
import CDeltaCodec
import Corpus

extension Checksum {
  /// What `/chunks/checksum` has for a chunk. That of `delta` is of all before the bodies of its frames, whose own
  /// checksums lie there; so whoever wants one frame need not read all.
  init(ofChunk bytes: UnsafeRawBufferPointer, _ codec: Codec) {
    let end = codec == .delta ? cdelta_directory_end(bytes.baseAddress, bytes.count) : bytes.count
    self.init(of: UnsafeRawBufferPointer(rebasing: bytes[..<end]))
  }
}

extension StoredRun.Chunk {
  /// Refuses other bytes than those that were written in this place, be they those of another chunk.
  ///
  /// The first shards, and those of other writers, do not say which they were.
  ///
  /// - Parameter source: the file and run that the chunk belongs to, for the error.
  func require(
    _ bytes: UnsafeRawBufferPointer, _ codec: Codec, source: @autoclosure () -> String
  ) throws(CorpusError) {
    guard checksum != 0, Checksum(ofChunk: bytes, codec).value != checksum else { return }
    throw CorpusError.damagedShard(source(), "a chunk of its parameters does not have the recorded checksum")
  }
}
