import Corpus
import Foundation
import Maintenance
import TerminalOutput

extension GenerationSurvey {
  /// The survey as some lines for a terminal.
  ///
  /// - Parameters:
  ///   - path: of the corpus.
  ///   - quota: bytes that it may take; nil for what its file system has room for.
  package func lines(_ path: String, quota: Int? = nil) -> [String] {
    var lines = [Format.fact("corpus", path), Format.fact("runs", progress.joined(separator: ", "))]
    let files =
      "\(Format.count(sealedShards, "sealed shard"))"
      + (singleRuns == 0 ? "" : " and \(Format.count(singleRuns, "file")) of single runs")
    lines.append(Format.fact("on disk", "\(Format.bytes(bytes)) in \(files)"))
    lines += [expected(quota: quota)].compactMap { $0 }.map { Format.fact("", $0) }
    if !nodes.isEmpty { lines += [""] + table }
    for failure in failures {
      let time = Date(timeIntervalSince1970: failure.at).formatted(.iso8601.dateTimeSeparator(.space))
      lines.append(Format.fact("failed", "\(failure.host), \(time): \(failure.reason)"))
    }
    return lines
  }

  /// The survey in one line, for a log.
  package func line(quota: Int? = nil) -> String {
    let lost = nodes.filter { $0.lost > 0 }.map(\.host)
    let parts =
      progress
      + [Format.count(nodes.count, "node"), Format.bytes(bytes)]
      + [expected(quota: quota)].compactMap { $0 }
      + (lost.isEmpty ? [] : ["lost: \(lost.joined(separator: " "))"])
      + (failures.isEmpty ? [] : ["failed: \(failures.map(\.host).joined(separator: " "))"])
    return parts.joined(separator: ", ")
  }

  /// How many runs of how many, how fast, and how long the rest takes.
  private var progress: [String] {
    var parts: [String] = []
    if let total {
      let share = total == 0 ? 100 : 100 * Double(done) / Double(total)
      parts.append("\(Format.count(done)) of \(Format.count(total)) (\(Format.fixed(share, 1)) %)")
    } else {
      parts.append(Format.count(done))
    }
    if underway > 0 { parts[0] += ", \(Format.count(underway)) of them not sealed yet" }
    if rate > 0 { parts.append("\(Self.perHour(rate)) runs/h") }
    if let left, left > 0 { parts.append("\(Format.duration(left)) left") }
    return parts
  }

  /// What the corpus comes to, and whether there is room for it.
  private func expected(quota: Int?) -> String? {
    let room = quota.map { $0 - bytes } ?? freeBytes
    let limit =
      quota.map { "\(Format.bytes($0)) allowed" }
      ?? (freeBytes == .max ? nil : "\(Format.bytes(freeBytes)) free")
    guard let atEnd = bytesAtEnd, atEnd > bytes else { return limit }
    let isTooMuch = atEnd - bytes > room ? ": that will not fit" : ""
    return "about \(Format.bytes(atEnd)) at the end" + (limit.map { ", \($0)" } ?? "") + isTooMuch
  }

  private var table: [String] {
    let rows =
      [["node", "blocks", "runs made", "runs/h", "heard of"]]
      + nodes.map { node in
        let silence = "\(Format.duration(node.silence)) ago"
        return [
          node.host, "\(node.blocks)", "\(Format.count(node.done)) of \(Format.count(node.runs))",
          node.rate > 0 ? Self.perHour(node.rate) : "",
          node.lost == 0
            ? silence : "\(silence), too long ago for \(Format.count(node.lost, "block")): others take over",
        ]
      }
    return TextTable.lines(rows, numbers: 1...3)
  }

  private static func perHour(_ rate: Double) -> String {
    let hourly = rate * 3600
    return hourly < 10 ? Format.fixed(hourly, 1) : Format.count(Int(hourly.rounded()))
  }
}
