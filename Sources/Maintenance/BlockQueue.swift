import Corpus
import CorpusStore
import Foundation
import Platform
import ShardStore
import Synchronization

/// A block that this process makes.
final class ActiveBlock: Sendable {
  let block: RunBlock
  /// The seeds of the block whose runs were not stored when it was claimed, ascending.
  let missing: [Int64]
  let claim: OwnClaim
  private let state: Mutex<(pending: ArraySlice<Int64>, done: Int)>
  private let lost = Atomic(false)

  /// - Parameter isBackup: whether somebody else makes it, too, presumably from the first run on.
  init(_ block: RunBlock, missing: [Int64], claim: OwnClaim, isBackup: Bool) {
    self.block = block
    self.missing = missing
    self.claim = claim
    state = Mutex(((isBackup ? missing.reversed() : missing)[...], 0))
  }

  /// The next run that nobody has begun.
  func next() -> Int64? { state.withLock { $0.pending.popFirst() } }

  /// Counts a run that is made.
  ///
  /// - Returns: whether it was the last one.
  func finish() -> Bool {
    state.withLock {
      $0.done += 1
      return $0.done == missing.count
    }
  }

  /// How many runs are made.
  var done: Int { state.withLock { $0.done } }

  /// Whether others have it now, or have sealed it.
  var isLost: Bool { lost.load(ordering: .relaxed) }

  func lose() {
    state.withLock { $0.pending = [] }
    lost.store(true, ordering: .relaxed)
  }
}

/// The blocks of a job that are left, and those that this process is at. Serves all its threads.
final class BlockQueue: Sendable {
  private struct State {
    /// The blocks that were not sealed when somebody last looked.
    var left: [RunBlock]
    var active: [ActiveBlock] = []
    var stored: StoredRuns
    var progress: GenerationJob.Progress
    /// Runs in blocks that this process has sealed.
    var sealed = 0
    /// Threads that make runs.
    var threads = 0
    var isStarted = false
    var nextLook = ContinuousClock.now
    /// When to look next at the claims of others.
    var nextClaimLook = ContinuousClock.now
  }

  private let state: Mutex<State>
  private let directory: CorpusDirectory
  private let claims: BlockClaims
  /// The runs that were stored singly when the job began.
  private let single: Set<Int64>
  private let stopping = Atomic(false)
  private let begun = ContinuousClock.now

  /// How long threads with nothing to do wait before they look again.
  private static let pause = Duration.milliseconds(500)

  init(
    _ blocks: [RunBlock], of directory: CorpusDirectory, _ claims: BlockClaims, total: Int
  ) throws(CorpusError) {
    self.directory = directory
    self.claims = claims
    single = Set(try directory.shardFiles().compactMap(CorpusDirectory.seed))
    let stored = try StoredRuns(directory)
    var state = State(left: blocks, stored: stored, progress: GenerationJob.Progress(total: total))
    try Self.look(&state, single)
    state.progress.found = total - Self.missing(in: state, single)
    self.state = Mutex(state)
  }

  // MARK: Progress

  /// How many runs are not stored.
  var missing: Int { state.withLock { Self.missing(in: $0, single) } }

  var progress: GenerationJob.Progress {
    state.withLock { state in
      var progress = state.progress
      let left = Self.missing(in: state, single)
      progress.made = state.sealed + state.active.reduce(0) { $0 + $1.done }
      // A block that is just sealed is still among the active ones.
      let unsealed = Set(state.left)
      let ours = state.active.reduce(0) { $0 + $1.missing.count }
      let closing = state.active.reduce(0) { $0 + (unsealed.contains($1.block) ? 0 : $1.missing.count) }
      progress.madeElsewhere = progress.total - progress.found - state.sealed - left - closing
      progress.awaited = left - (ours - closing)
      return progress
    }
  }

  /// Takes note of a run that was trained now.
  func count(_ run: Run, _ encoded: EncodedRun, parameters: Int) {
    state.withLock {
      $0.progress.checkpoints += run.count
      $0.progress.rawBytes += 4 * parameters * run.count
      $0.progress.compressedBytes += encoded.compressedBytes
      if run.status != .ok { $0.progress.bad += 1 }
    }
  }

  // MARK: Threads

  var isStopped: Bool { stopping.load(ordering: .relaxed) }

  /// Ends the work of all threads, as one has failed.
  func stop() { stopping.store(true, ordering: .relaxed) }

  /// Said by each thread that makes runs, at its beginning.
  func enter() {
    state.withLock {
      $0.threads += 1
      $0.isStarted = true
    }
  }

  /// Said by each thread that makes runs, at its end; the last one gives up what is not done.
  func leave() {
    let rest = state.withLock { state -> [ActiveBlock] in
      state.threads -= 1
      guard state.threads == 0 else { return [] }
      defer { state.active = [] }
      return state.active
    }
    for block in rest { block.claim.release() }
  }

  /// Renews the claims of this process until all threads that make runs have ended, and learns which are lost.
  func keepClaims() {
    var due = ContinuousClock.now
    while state.withLock({ !$0.isStarted || $0.threads > 0 }) {
      Thread.sleep(forTimeInterval: 0.1)
      if .now < due { continue }
      due = .now + claims.renewalPause
      for block in state.withLock({ $0.active }) {
        // What fails here costs the claim at worst, and then somebody makes the block a second time.
        let isOurs = (try? block.claim.renew(done: block.done)) ?? true
        if !isOurs || isSealed(block) { block.lose() }
      }
    }
  }

  private func isSealed(_ block: ActiveBlock) -> Bool {
    guard let first = block.missing.first, let last = block.missing.last else { return true }
    return Files.exists(directory.absolute(directory.sealedFile(first: first, last: last)))
  }

  // MARK: Blocks

  /// The next run to make, of a block of ours or of one that is claimed now; waits while others make all that is left.
  ///
  /// - Returns: nil when nothing is left for this thread.
  func next(
    _ cancellation: Cancellation, _ report: (GenerationJob.Progress) -> Void
  ) throws(CorpusError) -> (ActiveBlock, Int64)? {
    while !isStopped {
      try cancellation.check()
      var isOver = false
      let found = try state.withLock { (state) throws(CorpusError) -> (ActiveBlock, Int64)? in
        for block in state.active {
          if let seed = block.next() { return (block, seed) }
        }
        if .now >= state.nextLook {
          if let block = try claimNext(&state), let seed = block.next() { return (block, seed) }
          state.nextLook = .now + Self.pause
        }
        let ours = Set(state.active.filter { !$0.isLost }.map(\.block))
        isOver = state.left.allSatisfy(ours.contains)
        return nil
      }
      if let found { return found }
      if isOver { return nil }
      report(progress)
      Thread.sleep(forTimeInterval: 0.2)
    }
    return nil
  }

  /// Ends a block of ours that is sealed.
  ///
  /// - Parameter isOurs: whether this process has sealed it.
  func close(_ block: ActiveBlock, isOurs: Bool) throws(CorpusError) {
    block.claim.release()
    try state.withLock { (state) throws(CorpusError) in
      state.active.removeAll { $0 === block }
      if isOurs { state.sealed += block.missing.count }
      try Self.look(&state, single)
    }
  }

  /// Removes the claims that slow and dead makers have on blocks that are sealed.
  func removeClaimsOfSealedBlocks() throws(CorpusError) {
    let stored = state.withLock { $0.stored }
    try claims.removeClaims { Self.missing($0, stored, single).isEmpty }
  }

  /// Ends a block that others have now; what of it lies on this machine stays there.
  func giveUp(_ block: ActiveBlock) {
    state.withLock { $0.active.removeAll { $0 === block } }
    block.claim.release()
  }

  /// Learns which blocks are sealed by now.
  private static func look(_ state: inout State, _ single: Set<Int64>) throws(CorpusError) {
    try state.stored.refresh()
    if let problem = state.stored.problems.first { throw problem }
    let stored = state.stored
    state.left.removeAll { missing($0, stored, single).isEmpty }
  }

  private static func missing(_ block: RunBlock, _ stored: StoredRuns, _ single: Set<Int64>) -> [Int64] {
    block.seeds.filter { stored.sealed[$0] == nil && !single.contains($0) }
  }

  private static func missing(in state: State, _ single: Set<Int64>) -> Int {
    state.left.reduce(0) { $0 + missing($1, state.stored, single).count }
  }

  /// Claims a block that nobody has; or one whose maker is dead; or, as a second maker, the one that would be done last.
  private func claimNext(_ state: inout State) throws(CorpusError) -> ActiveBlock? {
    try Self.look(&state, single)
    let ours = Set(state.active.map(\.block))
    let others = state.left.filter { !ours.contains($0) }
    if others.isEmpty { return nil }
    let claimed = try claims.claimed()
    let free = others.filter { !claimed.contains($0) }
    // Many jobs that begin at once do not all want the same one.
    for block in free.prefix(16).shuffled() + free.dropFirst(16) {
      if let active = try claim(block, as: .claim, &state) { return active }
    }
    guard .now >= state.nextClaimLook else { return nil }
    state.nextClaimLook = .now + claims.renewalPause
    let now = try claims.now()
    var slowest: (block: RunBlock, seconds: Double)?
    for block in others {
      guard let found = try claims.find(block, now: now) else { continue }
      if found.isDead {
        if let active = try claim(block, as: .claim, &state) { return active }
      } else if let claim = found.claim {
        let seconds = claim.secondsLeft(at: now)
        if seconds > slowest?.seconds ?? 0 { slowest = (block, seconds) }
      }
    }
    // Only where it pays: this process would be done before the one that is at it.
    guard let slowest, let pace = pace(state),
      slowest.seconds > 1.2 * pace * Double(Self.missing(slowest.block, state.stored, single).count)
    else { return nil }
    return try claim(slowest.block, as: .backup, &state)
  }

  private func claim(
    _ block: RunBlock, as kind: BlockClaims.Kind, _ state: inout State
  ) throws(CorpusError) -> ActiveBlock? {
    let count = Self.missing(block, state.stored, single).count
    guard let claim = try claims.take(block, runs: count, as: kind) else { return nil }
    // Its maker may have sealed it just before it let go of it.
    try Self.look(&state, single)
    let missing = Self.missing(block, state.stored, single)
    guard !missing.isEmpty else {
      claim.release()
      return nil
    }
    let active = ActiveBlock(block, missing: missing, claim: claim, isBackup: kind == .backup)
    state.active.append(active)
    return active
  }

  /// Seconds that this process takes for a run, all its threads together; nil before it has made some.
  private func pace(_ state: State) -> Double? {
    let made = state.sealed + state.active.reduce(0) { $0 + $1.done }
    let seconds = begun.duration(to: .now) / .seconds(1)
    return made > 0 ? seconds / Double(made) : nil
  }
}
