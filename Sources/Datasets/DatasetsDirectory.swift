import Platform
internal import Corpus
public import Foundation

/// The directory in which people keep their data sets.
public struct DatasetsDirectory: Sendable {
  /// The variable that names it where no flag does.
  public static let variable = "CORPUS_DATASETS"

  public let path: String

  /// The directory of this name; nil for what the environment says, and `Data` where it says nothing.
  public init(_ path: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment) {
    self.path = path ?? environment[Self.variable].flatMap { $0.isEmpty ? nil : $0 } ?? "Data"
  }

  /// The paths of a data set's files, all in one folder.
  ///
  /// - Parameters:
  ///   - name: The data set's, for the error.
  ///   - folders: Where to look, in this order, relative to the directory; "" for itself.
  ///   - files: For each file, the names that it may have.
  ///   - archives: What the files are published in; one that is there is named in the error.
  /// - Throws: `missingDataset`, which says what was looked for where.
  func locate(
    _ name: String, folders: [String], files: [[String]], archives: [String] = []
  ) throws(CorpusError) -> [String] {
    if let found = find(folders: folders, files: files) { return found }
    if let archive = archives.first(where: { Files.exists("\(path)/\($0)") }) {
      throw CorpusError(
        .missingDataset, "the data set \(name) is not in \(path), but packed in \(archive)",
        remedy: "unpack it with `tar -xzf \(path)/\(archive) -C \(path)`")
    }
    var partly: String?
    let paths = folders.map(absolute)
    for folder in paths {
      let found = files.map { names in names.first { Files.exists("\(folder)/\($0)") } }
      if found.contains(where: { $0 != nil }), partly == nil {
        let missing = zip(files, found).filter { $1 == nil }.map { $0.0[0] }
        partly = "\(folder) lacks \(missing.joined(separator: ", "))"
      }
    }
    let wanted = files.map { $0[0] }.joined(separator: ", ")
    let places = paths.joined(separator: ", ")
    throw CorpusError(
      .missingDataset,
      "the data set \(name) is not in \(path): " + (partly ?? "looked for \(wanted) in \(places)"),
      remedy: "name its directory with --datasets or \(Self.variable), fetch it with Scripts/fetch-datasets, "
        + "or make other runs, with --dataset synthetic")
  }

  /// The paths of a data set's files, all in the first folder that has them all; nil where none has.
  func find(folders: [String], files: [[String]]) -> [String]? {
    for folder in folders.map(absolute) {
      let found = files.compactMap { names in names.first { Files.exists("\(folder)/\($0)") } }
      if found.count == files.count { return found.map { "\(folder)/\($0)" } }
    }
    return nil
  }

  private func absolute(_ folder: String) -> String { folder.isEmpty ? path : "\(path)/\(folder)" }
}
