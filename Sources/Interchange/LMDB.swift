import CLMDB
import Corpus

/// An open LMDB environment, closed with its owner: `mdb_env_open`.
final class LMDBEnvironment {
  fileprivate let handle: OpaquePointer
  /// The directory that `data.mdb` lies in.
  let path: String

  /// Opens an environment that is only read, without its lock file: nobody writes to a published one.
  ///
  /// - Throws: `malformedRelease` if there is no environment, or if its file is shorter than it says of itself, which
  ///   LMDB would find out only by crashing.
  init(reading path: String) throws(CorpusError) {
    self.path = path
    handle = try Self.create(path)
    let size = try Files.size("\(path)/data.mdb")
    // Published environments announce a map of 1 TiB; what is there is enough.
    try LMDB.check(mdb_env_set_mapsize(handle, Int(size)), "read", path)
    try LMDB.check(mdb_env_open(handle, path, UInt32(MDB_RDONLY | MDB_NOLOCK), 0o644), "read", path)
    var information = MDB_envinfo()
    var statistics = MDB_stat()
    try LMDB.check(mdb_env_info(handle, &information), "read", path)
    try LMDB.check(mdb_env_stat(handle, &statistics), "read", path)
    guard size / Int64(statistics.ms_psize) > Int64(information.me_last_pgno) else {
      throw CorpusError(
        .malformedRelease,
        "\(path)/data.mdb is truncated: it has \(size) bytes and should have "
          + "\((information.me_last_pgno + 1) * Int(statistics.ms_psize))", remedy: "fetch it again")
    }
  }

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

  init(_ environment: LMDBEnvironment, isReadOnly: Bool) throws(CorpusError) {
    self.environment = environment
    let action = isReadOnly ? "read" : "write"
    var handle: OpaquePointer?
    let flags = isReadOnly ? UInt32(MDB_RDONLY) : 0
    try LMDB.check(mdb_txn_begin(environment.handle, nil, flags, &handle), action, environment.path)
    guard let handle else {
      throw CorpusError(.resource, "there is no memory for LMDB", remedy: "use fewer --workers")
    }
    var database: MDB_dbi = 0
    let code = mdb_dbi_open(handle, nil, 0, &database)
    if code != 0 { mdb_txn_abort(handle) }
    try LMDB.check(code, action, environment.path)
    self.handle = handle
    self.database = database
  }

  deinit { if let handle { mdb_txn_abort(handle) } }

  /// Gives the value of a key, as it lies in the map, to `body`; nil where there is none: `mdb_get`.
  func withValue<Result>(
    of key: String, _ body: (UnsafeRawBufferPointer?) throws(CorpusError) -> Result
  ) throws(CorpusError) -> Result {
    var value = MDB_val()
    let code = LMDB.withKey(key) { mdb_get(handle, database, $0, &value) }
    if code == MDB_NOTFOUND { return try body(nil) }
    try LMDB.check(code, "read", environment.path)
    return try body(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
  }

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
