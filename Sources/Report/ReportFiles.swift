public import Corpus
import Foundation
import Platform

/// Where a report lies: the page, its numbers, and the sections that are kept meanwhile.
public struct ReportFiles: Sendable {
  public let page: String
  public let json: String
  /// A directory.
  public let parts: String

  /// - Parameter page: the page's path; `report.html` has its numbers in `report.evaluation.json`.
  public init(_ page: String) {
    self.page = page
    let stem = page.hasSuffix(".html") ? String(page.dropLast(5)) : page
    json = stem + ".evaluation.json"
    let (directory, name) = Files.split(page)
    parts = "\(directory)/.\(name).parts"
  }

  /// Refuses a page that is there, and a place where none can be, before anything is computed.
  ///
  /// - Throws: `alreadyExists`, `readOnly`, `inputOutput`.
  public func require(replacing: Bool) throws(CorpusError) {
    for path in [page, json] where try Files.isPresent(path) {
      guard !replacing else { continue }
      throw CorpusError(
        .alreadyExists, "\(path) is there already", remedy: "replace it with --force, or choose another --out"
      )
    }
    guard !Files.isDirectory(page) else {
      throw CorpusError(.alreadyExists, "\(page) is a directory", remedy: "name a file with --out")
    }
    try Files.createDirectory(Files.split(page).directory)
    try Files.createDirectory(parts)
  }

  /// Writes the page and then its numbers, each whole.
  ///
  /// - Returns: the bytes of the page.
  public func write(_ report: Report) throws(CorpusError) -> Int {
    let numbers = try report.json
    let html = Report.page(numbers)
    // The larger one first: where the disk is full, neither is there.
    try Files.write(html, to: page)
    try Files.write(numbers, to: json)
    return html.count
  }
}
