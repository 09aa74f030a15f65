import Platform
import Corpus
import PairSampling
import Glibc
import MetricIndex
import ShardStore
import Synchronization

/// Decoded runs, kept so that trainers who go over a corpus hundreds of times decode it once.
///
/// A run is taken up when it is first visited, as long as there is room; then it stays. As every run is visited equally
/// often, no choice of runs would serve better. On disk, the processes of one machine share the file; each of them proves
/// a checkpoint when it first reads it, and takes a run whose checkpoints are damaged from the corpus again.
final class RunCache: Sendable {
  /// A run is stored as K × P floats and K checksums of P of them, from a multiple of 4096 bytes on.
  private static let alignment = 4096
  private static let magic: [UInt8] = Array("CCRUNS02".utf8)

  private let storage: Storage
  private let parameterCount: Int
  /// The byte at which each run of the table begins, and one more entry at the end.
  private let starts: [Int]
  /// The number of checkpoints before each run of the table, and of all.
  private let rows: [Int]
  private let proven: ProvenParts
  private let limit: Int
  private let state: Mutex<State>

  private struct State {
    /// One state a run of the table.
    var runs: [RunState]
    var bytes = 0
  }

  private enum RunState { case absent, beingFilled, present, damaged }

  /// - Returns: nil for no cache.
  init?(
    _ kind: PairStreamOptions.Cache, table: RunTable, parameterCount: Int, fingerprint: String
  ) throws(CorpusError) {
    let flags = (Self.magic.count + table.rows.count + Self.alignment - 1) / Self.alignment * Self.alignment
    var (starts, rows) = ([flags], [0])
    for row in table.rows {
      let checkpoints = Int(row.checkpoints)
      let size = checkpoints * (4 * parameterCount + MemoryLayout<Checksum>.stride)
      starts.append(starts[starts.count - 1] + (size + Self.alignment - 1) / Self.alignment * Self.alignment)
      rows.append(rows[rows.count - 1] + checkpoints)
    }
    self.parameterCount = parameterCount
    (self.starts, self.rows) = (starts, rows)
    let total = starts[starts.count - 1]
    var states = [RunState](repeating: .absent, count: table.rows.count)
    switch kind {
    case .none: return nil
    case .memory(let bytes):
      limit = bytes
      storage = try Storage(bytes: total)
      proven = ProvenParts(count: 0)
    case .disk(let path, let bytes):
      limit = bytes
      try Files.createDirectory(path)
      let file = "\(path)/\(fingerprint.prefix(32)).runs"
      storage = try Storage(file: file, bytes: total, magic: Self.magic)
      proven = ProvenParts(count: rows[rows.count - 1])
      for run in table.rows.indices where storage.bytes[Self.magic.count + run] == 1 {
        states[run] = .present
      }
    }
    state = Mutex(State(runs: states, bytes: storage.bytesInUse))
  }

  /// Whether a run of the table is here, proven or not.
  func holds(_ run: Int) -> Bool { state.withLock { $0.runs[run] == .present } }

  /// The bytes of a checkpoint of a run that is here: to be asked of far memory, not to be believed.
  func bytes(_ run: Int, _ step: Int) -> UnsafeRawBufferPointer {
    let size = 4 * parameterCount
    let start = starts[run] + step * size
    return UnsafeRawBufferPointer(rebasing: storage.bytes[start..<(start + size)])
  }

  /// Two checkpoints of a run of the table, P floats each, if they are here and as they were written.
  func find(
    _ run: Int, _ steps: (Int, Int)
  ) -> (UnsafePointer<Float>, UnsafePointer<Float>)? {
    guard holds(run), let first = find(run, steps.0), let second = find(run, steps.1) else { return nil }
    return (first, second)
  }

  private func find(_ run: Int, _ step: Int) -> UnsafePointer<Float>? {
    if storage.isShared, !proven.contains(rows[run] + step) {
      guard prove(run, step) else { return nil }
      proven.insert(rows[run] + step)
    }
    return bytes(run, step).baseAddress?.assumingMemoryBound(to: Float.self)
  }

  /// Whether checkpoints that were read are as they were written still, where the file may have been cut before their
  /// ends without a fault.
  func isIntact(_ run: Int, _ steps: (Int, Int)) -> Bool {
    !storage.isShared || (prove(run, steps.0) && prove(run, steps.1))
  }

  /// Compares a checkpoint with its checksum; gives up a run that is damaged.
  private func prove(_ run: Int, _ step: Int) -> Bool {
    let bytes = bytes(run, step)
    let checkpoints = rows[run + 1] - rows[run]
    let recorded = storage.bytes.loadUnaligned(
      fromByteOffset: starts[run] + checkpoints * bytes.count + step * MemoryLayout<Checksum>.stride,
      as: UInt64.self)
    let isRight = Checksum(of: bytes).value == recorded
    if !isRight { discard(run) }
    return isRight
  }

  /// Gives up a damaged run, for this process; others, who find it gone, take it up anew.
  private func discard(_ run: Int) {
    state.withLock { $0.runs[run] = .damaged }
    storage.clear(flag: Self.magic.count + run)
  }

  /// Whether the file was shortened by somebody, or cannot be read: what was found may have been zeros.
  var isTorn: Bool { storage.isTorn }

  /// Takes nothing from the cache any more.
  func abandon() {
    state.withLock { state in
      for run in state.runs.indices { state.runs[run] = .damaged }
    }
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
        // Unless all of it was abandoned meanwhile.
        if state.runs[run] == .beingFilled { state.runs[run] = outcome }
        if outcome == .absent { state.bytes -= size }
      }
    }
    let checkpoints = rows[run + 1] - rows[run]
    if try storage.fill(
      starts[run], checkpoints: checkpoints, parameters: parameterCount, flag: Self.magic.count + run,
      decode: decode)
    {
      outcome = .present
    }
  }
}

/// The memory of a cache: anonymous, or a file's.
private final class Storage: @unchecked Sendable {
  // Sendable because each range is written once, by one thread, before its flag is set under a lock.
  let bytes: UnsafeRawBufferPointer
  /// The file and its mapping; nil for anonymous memory.
  private let mapping: FileMapping?
  private let file: Descriptor?
  /// The anonymous memory; nil for a file.
  private let memory: UnsafeMutableRawBufferPointer?

  init(bytes count: Int) throws(CorpusError) {
    (file, mapping) = (nil, nil)
    // Only what is written to takes memory.
    guard
      let base = mmap(
        nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      base != MAP_FAILED
    else { throw Files.error("reserve memory for", "the cache") }
    madvise(base, count, MADV_HUGEPAGE)
    let memory = UnsafeMutableRawBufferPointer(start: base, count: count)
    self.memory = memory
    bytes = UnsafeRawBufferPointer(memory)
  }

  init(file path: String, bytes count: Int, magic: [UInt8]) throws(CorpusError) {
    let file = try Descriptor(opening: path, O_RDWR | O_CREAT)
    self.file = file
    memory = nil
    // What another program, or another version, has written there is nothing to believe.
    if try !file.holds(magic, at: 0) {
      guard ftruncate(file.fd, 0) == 0 else { throw Files.error("write", path) }
      try file.write(magic, at: 0)
    }
    // Sparse: only what is written to takes space.
    guard ftruncate(file.fd, count) == 0 else { throw Files.error("write", path) }
    let mapping = try FileMapping(file, bytes: count)
    self.mapping = mapping
    bytes = mapping.bytes
  }

  deinit { if let memory { munmap(memory.baseAddress, memory.count) } }

  /// Whether other processes, and the disk, may change it.
  var isShared: Bool { file != nil }

  var isTorn: Bool { mapping?.isTorn ?? false }

  /// The space taken already.
  var bytesInUse: Int {
    var information = stat()
    guard let file, fstat(file.fd, &information) == 0 else { return 0 }
    return Int(information.st_blocks) * 512
  }

  /// Says of a run that it is not there. A disk that cannot be written to keeps its flag, and whoever comes finds the
  /// damage again.
  func clear(flag: Int) { try? file?.write([0], at: Int64(flag)) }

  /// Writes a run and says by its flag that it is there.
  ///
  /// - Returns: whether it is there now; false where a full disk puts an end to the cache's growth.
  func fill(
    _ start: Int, checkpoints: Int, parameters: Int, flag: Int,
    decode: (UnsafeMutablePointer<Float>) throws(CorpusError) -> Void
  ) throws(CorpusError) -> Bool {
    guard let file else {
      if let base = memory?.baseAddress {
        try decode((base + start).assumingMemoryBound(to: Float.self))
      }
      return true
    }
    // Another process may have been faster.
    if bytes[flag] == 1 { return true }
    let length = 4 * parameters
    let run = UnsafeMutableRawBufferPointer.allocate(
      byteCount: checkpoints * (length + MemoryLayout<Checksum>.stride), alignment: 64)
    defer { run.deallocate() }
    guard let base = run.baseAddress else { return false }
    try decode(base.assumingMemoryBound(to: Float.self))
    for step in 0..<checkpoints {
      let vector = UnsafeRawBufferPointer(rebasing: run[(step * length)..<((step + 1) * length)])
      run.storeBytes(
        of: Checksum(of: vector).value,
        toByteOffset: checkpoints * length + step * MemoryLayout<Checksum>.stride, as: UInt64.self)
    }
    do throws(CorpusError) {
      try file.write(UnsafeRawBufferPointer(run), at: Int64(start))
      // On the disk before the flag, so that a power cut leaves nothing half there.
      try file.synchronize()
      try file.write([1], at: Int64(flag))
      return true
    } catch  where error.code == .diskFull {
      return false
    }
  }
}
