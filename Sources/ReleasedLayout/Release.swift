import Platform
public import Corpus

/// A directory in the layout of the published release: LMDB directories with one or several runs each.
public struct Release: Sendable {
  /// One LMDB directory.
  public struct Folder: Sendable {
    public let path: String
    /// Its runs, by the parts of its name.
    public let runs: [(name: String, seed: Int64)]
    /// Whether `DONE.txt` is there.
    public let isFinished: Bool
  }

  public let path: String
  /// In order of their names.
  public let folders: [Folder]
  /// Directories that are not of the layout, and runs that are there twice.
  public let problems: [CorpusError]

  /// Looks at what is there, by names alone.
  ///
  /// - Throws: `malformedRelease` if there is nothing of the layout.
  public init(opening path: String) throws(CorpusError) {
    guard Files.isDirectory(path) else {
      throw CorpusError(
        .malformedRelease, "there is no directory \(path)",
        remedy: "name the one that holds the LMDB directories")
    }
    guard !Files.exists("\(path)/data.mdb") else {
      throw CorpusError(
        .malformedRelease, "\(path) is itself an LMDB directory",
        remedy: "name the directory above it, which holds those of all runs")
    }
    self.path = path
    var folders: [Folder] = []
    var problems: [CorpusError] = []
    var homes: [Int64: String] = [:]
    for name in try Files.names(in: path) where !name.hasPrefix(".") {
      let folder = "\(path)/\(name)"
      guard Files.isDirectory(folder) else { continue }
      do throws(CorpusError) {
        let runs = try Self.runs(named: name, folder)
        for run in runs {
          if let home = homes[run.seed] {
            throw CorpusError(
              .conflictingRuns, "run \(run.seed) is in \(home) and in \(folder), which is left out",
              remedy: "keep one of them there")
          }
        }
        for run in runs { homes[run.seed] = folder }
        folders.append(Folder(path: folder, runs: runs, isFinished: Files.exists("\(folder)/DONE.txt")))
      } catch {
        problems.append(error)
      }
    }
    guard !folders.isEmpty else {
      throw problems.first
        ?? CorpusError(
          .malformedRelease, "\(path) holds no LMDB directories",
          remedy: "name the directory whose directories are called after their runs, such as 000007")
    }
    self.folders = folders
    self.problems = problems
  }

  private static func runs(
    named name: String, _ folder: String
  ) throws(CorpusError) -> [(name: String, seed: Int64)] {
    var runs: [(name: String, seed: Int64)] = []
    for part in name.split(separator: "_", omittingEmptySubsequences: false) {
      guard part.allSatisfy({ ("0"..."9").contains($0) }), let seed = Int64(part), seed < SeedRange.limit
      else {
        throw CorpusError(
          .malformedRelease, "\(folder) is left out: its name is not that of a run, such as 000007",
          remedy: "move it away")
      }
      guard !runs.contains(where: { $0.seed == seed }) else {
        throw CorpusError(
          .conflictingRuns, "\(folder) is left out: its name says run \(seed) twice", remedy: "rename it")
      }
      runs.append((String(part), seed))
    }
    guard Files.exists("\(folder)/data.mdb") else {
      throw CorpusError(
        .malformedRelease, "\(folder) is left out: it has no data.mdb",
        remedy: "fetch it again, or move it away")
    }
    return runs
  }
}
