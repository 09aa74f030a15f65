import Platform
import Corpus
import Foundation
import Glibc
import ShardStore

/// A claim on a block of runs, as its maker last wrote it.
struct ClaimNote {
  let first: Int64
  let last: Int64
  let host: String
  let begun: Date
  /// When it was last written.
  let renewed: Date
  /// Seconds without renewal after which others may take the block.
  let lease: Double
  /// The runs that its maker has to make of the block, and those that it has made.
  let runs: Int
  let done: Int

  /// The claims of a corpus. One that is just being written, or that is gone when it is read, is left out.
  static func all(of directory: CorpusDirectory) throws(CorpusError) -> [ClaimNote] {
    try notes(of: directory, suffix: ".claim").compactMap { name, path in
      let seeds = name.split(separator: "-").compactMap { Int64($0) }
      guard seeds.count == 2, seeds[0] <= seeds[1], let times = FileTimes(path), let text = text(path),
        let begun = text["begun"]?.string.flatMap(date)
      else { return nil }
      return ClaimNote(
        first: seeds[0], last: seeds[1], host: text["host"]?.string ?? "?", begun: begun,
        renewed: times.changed, lease: text["lease_seconds"]?.number ?? 0,
        runs: Int(text["runs"]?.number ?? 0), done: Int(text["done"]?.number ?? 0))
    }
  }
}

/// What a machine has left that did not make the bits of a known run.
enum FailureNote {
  static func all(of directory: CorpusDirectory) throws(CorpusError) -> [GenerationSurvey.Failure] {
    try notes(of: directory, suffix: ".failed").map { name, path in
      GenerationSurvey.Failure(
        host: name, reason: text(path)?["reason"]?.string ?? "",
        date: FileTimes(path)?.changed ?? .distantPast)
    }
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

private func notes(
  of directory: CorpusDirectory, suffix: String
) throws(CorpusError) -> [(name: String, path: String)] {
  let folder = "\(directory.path)/claims"
  guard try Files.isPresent(folder) else { return [] }
  return try Files.names(in: folder).filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }
    .map { (String($0.dropLast(suffix.count)), "\(folder)/\($0)") }
}

private func text(_ path: String) -> JSONValue? {
  guard let data = try? Files.contents(path, limit: 1 << 20) else { return nil }
  return try? JSONDecoder().decode(JSONValue.self, from: data)
}

extension JSONValue {
  fileprivate var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  fileprivate var number: Double? {
    if case .number(let value) = self { value } else { nil }
  }
}

private func date(_ text: String) -> Date? {
  (try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(text))
    ?? (try? Date.ISO8601FormatStyle().parse(text))
}
