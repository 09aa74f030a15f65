import ShardStore
import Platform
import PairSampling
import Foundation
import Glibc

/// Reads the blocks of an epoch from front to back, one shuffle window before they are decoded, so that they are in the
/// page cache by then: the disk sees large reads only.
final class ReadAhead: @unchecked Sendable {
  // Sendable because everything that changes is touched under the lock only.
  private let context: StreamContext
  /// The corpus that it reads, among those that are mixed.
  private let source: Int
  private let lock = NSCondition()
  private var epoch: Epoch?
  /// The shuffle window that is being decoded.
  private var window = 0
  /// The shuffle window to read next.
  private var next = 0
  private var isCancelled = false

  /// Bytes that are asked for at a time.
  private static let request = 8 << 20

  init(_ context: StreamContext, source: Int) {
    self.context = context
    self.source = source
  }

  func cancel() {
    lock.withLock {
      isCancelled = true
      lock.broadcast()
    }
  }

  /// Says that the item of this index in the epoch is about to be decoded.
  func reach(_ item: Int, of epoch: Epoch) {
    lock.lock()
    defer { lock.unlock() }
    window = epoch.window(of: source, at: item)
    if self.epoch?.number != epoch.number || next < window { next = window }
    self.epoch = epoch
    lock.broadcast()
  }

  /// Reads until it is cancelled.
  func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.request, alignment: 4096)
    defer { buffer.deallocate() }
    while let (order, window) = nextWindow() {
      for block in order.blocks(ofWindow: window) { read(order.blocks[block], buffer) }
    }
  }

  private func nextWindow() -> (ReadBlockOrder, Int)? {
    lock.lock()
    defer { lock.unlock() }
    while !isCancelled {
      if let order = epoch?.readBlocks(of: source), next <= window + 1, next < order.windowCount {
        defer { next += 1 }
        return (order, next)
      }
      lock.wait()
    }
    return nil
  }

  /// Reads what the runs of a block take in their files. Failures are left to the one who decodes them.
  private func read(_ runs: ArraySlice<Int32>, _ buffer: UnsafeMutableRawBufferPointer) {
    var pending: (path: String, range: Range<Int>)?
    for run in runs {
      guard let found = try? context.pools[source].find(Int(run)) else { continue }
      let extent = found.shard.extent(of: found.location)
      // In the files of others, and in damaged ones, chunks may lie in any order.
      if let last = pending, last.path == found.shard.path, extent.lowerBound >= last.range.lowerBound,
        extent.lowerBound - last.range.upperBound < 1 << 20
      {
        pending = (last.path, last.range.lowerBound..<max(last.range.upperBound, extent.upperBound))
      } else {
        if let last = pending { read(last.path, last.range, buffer) }
        pending = (found.shard.path, extent)
      }
    }
    if let last = pending { read(last.path, last.range, buffer) }
  }

  private func read(_ path: String, _ range: Range<Int>, _ buffer: UnsafeMutableRawBufferPointer) {
    guard let file = try? Descriptor(opening: path, O_RDONLY) else { return }
    posix_fadvise(file.fd, off_t(range.lowerBound), off_t(range.count), Int32(POSIX_FADV_SEQUENTIAL))
    var offset = range.lowerBound
    while offset < range.upperBound, !lock.withLock({ isCancelled }) {
      let count = pread(
        file.fd, buffer.baseAddress, min(buffer.count, range.upperBound - offset), off_t(offset))
      if count <= 0 { return }
      offset += count
    }
  }
}
