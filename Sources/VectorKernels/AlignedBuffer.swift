internal import Glibc

/// Zeroed memory that starts at a multiple of 64 bytes, as the kernels want it; freed with its owner.
package struct AlignedBuffer<Element: BitwiseCopyable & ExpressibleByIntegerLiteral>: ~Copyable {
  package let base: UnsafeMutablePointer<Element>
  package let count: Int

  package init(count: Int) {
    let bytes = max(1, count) * MemoryLayout<Element>.stride
    let page = 2 << 20
    let isLarge = bytes >= 2 * page
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: isLarge ? page : 64)
    // Images are read in random order: with pages of 2 MiB, few of their addresses have to be looked up.
    // Where the system has none, nothing is lost.
    if isLarge { _ = madvise(memory, bytes, MADV_HUGEPAGE) }
    base = memory.bindMemory(to: Element.self, capacity: count)
    // By bytes, as other modules fill it element by element through a table of functions otherwise: a network of MNIST's
    // took as long to be laid out as to be measured.
    memset(memory, 0, bytes)
    self.count = count
  }

  deinit { base.deallocate() }
}
