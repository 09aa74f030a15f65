import Glibc

/// Keeps fork() waiting while HDF5 or SQLite are at work, as a child would find their locks taken for ever.
///
/// Each call from C that uses one of them goes through the gate, and so does each thread of a pair stream when it does,
/// any number at a time; fork() shuts it.
public enum ForkGate {
  // Set once; the lock itself is made for many threads.
  nonisolated(unsafe) private static let lock: UnsafeMutablePointer<pthread_rwlock_t> = {
    let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)
    initialize(lock)
    pthread_atfork(
      { pthread_rwlock_wrlock(ForkGate.lock) }, { pthread_rwlock_unlock(ForkGate.lock) },
      { initialize(ForkGate.lock) })
    return lock
  }()

  private static func initialize(_ lock: UnsafeMutablePointer<pthread_rwlock_t>) {
    var attributes = pthread_rwlockattr_t()
    pthread_rwlockattr_init(&attributes)
    // Otherwise threads that keep calling would keep fork() out.
    pthread_rwlockattr_setkind_np(
      &attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
    pthread_rwlock_init(lock, &attributes)
    pthread_rwlockattr_destroy(&attributes)
  }

  /// Does something that a fork would have to wait for. Not to be nested.
  public static func pass<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_rwlock_rdlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return try body()
  }
}
