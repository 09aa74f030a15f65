/// What went wrong, in a sentence that names the file or run, and what to do about it.
///
/// Every public function of this package that can fail throws this one type.
public struct CorpusError: Error, Hashable, Sendable {
  /// The kind of failure, for programs; people read ``message`` and ``remedy``.
  public enum Code: String, Sendable, CaseIterable {
    case notACorpus, alreadyExists, differentTask, differentRecipe, unsupportedVersion
    case unknownRun, malformedRange, invalidRecipe
    case damagedShard, foreignShard, conflictingRuns, cannotReplay, differentRun
    case indexMissing, indexStale, indexCorrupt, invalidSQL, interrupted
    case missingDataset, malformedDataset, differentDataset
    case emptySelection, differentCorpus, malformedRelease, malformedModel, diverged
    case diskFull, readOnly, inputOutput, resource
    /// Of the C interface and of Python.
    case invalidArgument, forked, claimedElsewhere
  }

  public var code: Code
  /// What happened, naming the file or run; no full stop.
  public var message: String
  /// What the user can do about it, as an instruction; no full stop.
  public var remedy: String
  /// What the layer below said: an errno text, HDF5's error stack, SQLite's message.
  public var cause: String?

  public init(_ code: Code, _ message: String, remedy: String, cause: String? = nil) {
    self.code = code
    self.message = message
    self.remedy = remedy
    self.cause = cause
  }
}

extension CorpusError: CustomStringConvertible {
  public var description: String {
    let detail = cause.map { " (\($0))" } ?? ""
    return "\(message)\(detail): \(remedy)"
  }
}

extension CorpusError {
  /// The refusal of a shard.
  ///
  /// - Parameter what: what is wrong with it, as a sentence.
  package static func damagedShard(_ path: String, _ what: String, cause: String? = nil) -> CorpusError {
    CorpusError(
      .damagedShard, "\(path) is damaged: \(what)",
      remedy: "restore the file from a copy, or make its runs again with `corpus repair`", cause: cause)
  }
}
