import Corpus
import Glibc
import MetricIndex
import Synchronization

/// Decoded runs, kept so that trainers who go over a corpus hundreds of times decode it once.
///
/// A run is taken up when it is first visited, as long as there is room; then it stays. As every run is visited equally
/// often, no choice of runs would serve better. On disk, the processes of one machine share the file.
final class RunCache: Sendable {
  /// A run is stored as K × P floats from a multiple of 4096 bytes on.
  private static let alignment = 4096
  private static let magic: [UInt8] = Array("CCRUNS01".utf8)

  private let storage: Storage
  /// Where each run of the table begins, and one more entry at the end; in bytes.
  private let starts: [Int]
  private let limit: Int
  private let state: Mutex<State>

  private struct State {
    /// For each run of the table.
    var runs: [RunState]
    var bytes = 0
  }

  private enum RunState { case absent, beingFilled, present }

  /// - Returns: nil for no cache.
  init?(
    _ kind: PairStreamOptions.Cache, table: RunTable, parameterCount: Int, fingerprint: String
  ) throws(CorpusError) {
    let flags = (Self.magic.count + table.rows.count + Self.alignment - 1) / Self.alignment * Self.alignment
    var starts = [flags]
    for row in table.rows {
      let size = 4 * parameterCount * Int(row.checkpoints)
      starts.append(starts[starts.count - 1] + (size + Self.alignment - 1) / Self.alignment * Self.alignment)
    }
    self.starts = starts
    let total = starts[starts.count - 1]
    var states = [RunState](repeating: .absent, count: table.rows.count)
    switch kind {
    case .none: return nil
    case .memory(let bytes):
      limit = bytes
      storage = try Storage(bytes: total)
    case .disk(let path, let bytes):
      limit = bytes
      try Files.createDirectory(path)
      storage = try Storage(file: "\(path)/\(fingerprint.prefix(32)).cache", bytes: total, magic: Self.magic)
      for run in table.rows.indices where storage.bytes[Self.magic.count + run] == 1 {
        states[run] = .present
      }
    }
    state = Mutex(State(runs: states, bytes: storage.bytesInUse))
  }

  /// The checkpoints of a run of the table, K × P, if they are here.
  func find(_ run: Int) -> UnsafePointer<Float>? {
    let isPresent = state.withLock { $0.runs[run] == .present }
    return isPresent ? values(run) : nil
  }

  /// Takes up a run, unless it is here, being taken up, or there is no room for it.
  ///
  /// - Parameter decode: writes K × P floats.
  func fill(
    _ run: Int, decode: (UnsafeMutablePointer<Float>) throws(CorpusError) -> Void
  ) throws(CorpusError) {
    let size = starts[run + 1] - starts[run]
    let isOurs = state.withLock { state in
      guard state.runs[run] == .absent, state.bytes + size <= limit else { return false }
      state.runs[run] = .beingFilled
      state.bytes += size
      return true
    }
    guard isOurs else { return }
    var outcome = RunState.absent
    defer {
      state.withLock { state in
        state.runs[run] = outcome
        if outcome == .absent { state.bytes -= size }
      }
    }
    if try storage.fill(starts[run], bytes: size, flag: Self.magic.count + run, decode: decode) {
      outcome = .present
    }
  }

  private func values(_ run: Int) -> UnsafePointer<Float>? {
    storage.bytes.baseAddress.map { UnsafeRawPointer($0 + starts[run]).assumingMemoryBound(to: Float.self) }
  }
}

/// The memory of a cache: anonymous, or a file's.
private final class Storage: @unchecked Sendable {
  // Sendable because each range is written once, by one thread, before its flag is set under a lock.
  let bytes: UnsafeMutableRawBufferPointer
  private let file: Descriptor?

  init(bytes count: Int) throws(CorpusError) {
    file = nil
    // Only what is written to takes memory.
    guard
      let base = mmap(
        nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      base != MAP_FAILED
    else { throw Files.error("reserve memory for", "the cache") }
    madvise(base, count, MADV_HUGEPAGE)
    bytes = UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  init(file path: String, bytes count: Int, magic: [UInt8]) throws(CorpusError) {
    let file = try Descriptor(opening: path, O_RDWR | O_CREAT)
    self.file = file
    // Sparse: only what is written to takes space.
    guard ftruncate(file.fd, count) == 0 else { throw Files.error("write", path) }
    try file.write(magic, at: 0)
    guard let base = mmap(nil, count, PROT_READ, MAP_SHARED, file.fd, 0), base != MAP_FAILED else {
      throw Files.error("read", path)
    }
    bytes = UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  deinit { munmap(bytes.baseAddress, bytes.count) }

  /// The space taken already.
  var bytesInUse: Int {
    var information = stat()
    guard let file, fstat(file.fd, &information) == 0 else { return 0 }
    return Int(information.st_blocks) * 512
  }

  /// Writes a run and says by its flag that it is there.
  ///
  /// - Returns: whether it is there now; false where a full disk puts an end to the cache's growth.
  func fill(
    _ start: Int, bytes count: Int, flag: Int,
    decode: (UnsafeMutablePointer<Float>) throws(CorpusError) -> Void
  ) throws(CorpusError) -> Bool {
    guard let file else {
      if let base = bytes.baseAddress { try decode((base + start).assumingMemoryBound(to: Float.self)) }
      return true
    }
    // Another process may have been faster.
    if bytes[flag] == 1 { return true }
    let values = UnsafeMutablePointer<Float>.allocate(capacity: count / 4)
    defer { values.deallocate() }
    values.initialize(repeating: 0, count: count / 4)
    try decode(values)
    do throws(CorpusError) {
      try file.write(UnsafeRawBufferPointer(start: values, count: count), at: Int64(start))
      // On the disk before the flag, so that a power cut leaves nothing half there.
      try file.synchronize()
      try file.write([1], at: Int64(flag))
      return true
    } catch  where error.code == .diskFull {
      return false
    }
  }
}
