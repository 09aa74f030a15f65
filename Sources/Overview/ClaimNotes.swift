import Corpus
import Foundation
import Glibc
import Maintenance
import Platform
import ShardStore

/// A claim on a block of runs, and when it was last renewed.
struct ClaimNote {
  let first: Int64
  let last: Int64
  let claim: BlockClaim
  let renewed: Date
  /// Whether somebody else makes the block, too.
  let isBackup: Bool

  /// The claims of a corpus. One that is just being written, or that is gone when it is read, is left out.
  static func all(of directory: CorpusDirectory) throws(CorpusError) -> [ClaimNote] {
    try Files.names(in: directory.claimsPath).compactMap { name in
      let path = "\(directory.claimsPath)/\(name)"
      guard let match = name.wholeMatch(of: /([0-9]{6,})-([0-9]{6,})\.(claim|backup)/),
        let first = Int64(match.1), let last = Int64(match.2), first <= last, last < SeedRange.limit,
        let times = FileTimes(path), let claim = BlockClaim(path)
      else { return nil }
      return ClaimNote(
        first: first, last: last, claim: claim, renewed: times.changed, isBackup: match.3 == "backup")
    }
  }

  /// What machines have left that do not make the bits of a known run, in the order of their names.
  static func failures(of directory: CorpusDirectory) throws(CorpusError) -> [MachineFailure] {
    try Files.names(in: directory.claimsPath).filter { $0.hasSuffix(".failed") && !$0.hasPrefix(".") }
      .compactMap { name in
        guard let data = try? Files.contents("\(directory.claimsPath)/\(name)", limit: 1 << 16) else {
          return nil
        }
        return try? CanonicalJSON.decode(MachineFailure.self, from: data)
      }.sorted { $0.host < $1.host }
  }
}

/// Length and age of a file.
struct FileTimes {
  let bytes: Int
  let changed: Date

  /// Nil where there is no such file.
  init?(_ path: String) {
    var information = stat()
    guard stat(path, &information) == 0 else { return nil }
    bytes = information.st_size
    changed = Date(
      timeIntervalSince1970: Double(information.st_mtim.tv_sec) + Double(information.st_mtim.tv_nsec) / 1e9)
  }
}

/// The bytes that a file system has left for this user; Int.max for one that cannot tell.
func freeSpace(_ path: String) throws(CorpusError) -> Int {
  var information = statvfs()
  guard statvfs(path, &information) == 0 else { throw Files.error("read", path) }
  let (bytes, overflow) = information.f_bavail.multipliedReportingOverflow(by: information.f_frsize)
  return overflow ? .max : Int(clamping: bytes)
}
