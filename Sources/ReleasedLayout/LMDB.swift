import Platform
import CLMDB
import Corpus

/// An LMDB environment to be written, closed with its owner: `mdb_env_open`. ``LMDBReader`` reads one.
final class LMDBEnvironment {
  fileprivate let handle: OpaquePointer
  /// The directory that `data.mdb` lies in.
  let path: String

  /// Makes an environment in an empty directory.
  ///
  /// - Parameter mapSize: how large its file may become, in bytes.
  init(creating path: String, mapSize: Int) throws(CorpusError) {
    self.path = path
    handle = try Self.create(path)
    try LMDB.check(mdb_env_set_mapsize(handle, mapSize), "write", path)
    // Synchronised once, at the end; until then the directory has a temporary name.
    try LMDB.check(mdb_env_open(handle, path, UInt32(MDB_NOLOCK | MDB_NOSYNC), 0o644), "write", path)
  }

  deinit { mdb_env_close(handle) }

  private static func create(_ path: String) throws(CorpusError) -> OpaquePointer {
    var handle: OpaquePointer?
    try LMDB.check(mdb_env_create(&handle), "open", path)
    guard let handle else {
      throw CorpusError(.resource, "there is no memory for LMDB", remedy: "use fewer --workers")
    }
    return handle
  }

  /// Writes everything to the disk: `mdb_env_sync`.
  func synchronize() throws(CorpusError) {
    try LMDB.check(mdb_env_sync(handle, 1), "write", path)
  }
}

/// A transaction on an environment's one database, given up with its owner unless it is committed: `mdb_txn_begin`.
final class LMDBTransaction {
  private let environment: LMDBEnvironment
  /// Nil once it is committed.
  private var handle: OpaquePointer?
  private let database: MDB_dbi

  init(_ environment: LMDBEnvironment) throws(CorpusError) {
    self.environment = environment
    var handle: OpaquePointer?
    try LMDB.check(mdb_txn_begin(environment.handle, nil, 0, &handle), "write", environment.path)
    guard let handle else {
      throw CorpusError(.resource, "there is no memory for LMDB", remedy: "use fewer --workers")
    }
    var database: MDB_dbi = 0
    let code = mdb_dbi_open(handle, nil, 0, &database)
    if code != 0 { mdb_txn_abort(handle) }
    try LMDB.check(code, "write", environment.path)
    self.handle = handle
    self.database = database
  }

  deinit { if let handle { mdb_txn_abort(handle) } }

  /// Sets the value of a key: `mdb_put`.
  func put(_ bytes: UnsafeRawBufferPointer, as key: String) throws(CorpusError) {
    var value = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    let code = LMDB.withKey(key) { mdb_put(handle, database, $0, &value, 0) }
    try LMDB.check(code, "write", environment.path)
  }

  func put(_ values: some Collection<Float>, as key: String) throws(CorpusError) {
    let values = Array(values)
    try values.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try put(UnsafeRawBufferPointer(buffer), as: key)
    }
  }

  /// `mdb_txn_commit`, which frees the transaction also where it fails.
  func commit() throws(CorpusError) {
    try LMDB.check(mdb_txn_commit(handle.take()), "write", environment.path)
  }
}

/// LMDB's return codes as errors.
enum LMDB {
  static func check(_ code: Int32, _ action: String, _ path: String) throws(CorpusError) {
    if code == 0 { return }
    // Positive codes are those of errno.
    if code > 0 { throw Files.error(action, "\(path)/data.mdb", errno: code) }
    let cause = String(cString: mdb_strerror(code))
    if action == "read" {
      throw CorpusError(
        .malformedRelease, "\(path)/data.mdb is no LMDB file, or a damaged one", remedy: "fetch it again",
        cause: cause)
    }
    throw CorpusError(
      .inputOutput, "cannot \(action) \(path)/data.mdb", remedy: "check the disk", cause: cause)
  }

  /// The bytes of a key as LMDB takes them.
  static func withKey<Result>(_ key: String, _ body: (UnsafeMutablePointer<MDB_val>) -> Result) -> Result {
    var key = key
    return key.withUTF8 { bytes in
      var value = MDB_val(
        mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: UnsafeRawPointer(bytes.baseAddress)))
      return body(&value)
    }
  }
}
