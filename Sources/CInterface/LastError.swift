import CCheckpointCorpus
import Corpus
import Glibc

/// What last failed on a thread, as C strings; freed when the thread ends or the next call fails.
final class LastError {
  private let message: UnsafeMutablePointer<CChar>?
  private let remedy: UnsafeMutablePointer<CChar>?
  private let cause: UnsafeMutablePointer<CChar>?

  private init(_ error: CorpusError) {
    message = strdup(error.message)
    remedy = strdup(error.remedy)
    cause = strdup(error.cause ?? "")
  }

  deinit {
    for text in [message, remedy, cause] { free(text) }
  }

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { value in
      if let value { Unmanaged<LastError>.fromOpaque(value).release() }
    }
    return key
  }()

  static func set(_ error: CorpusError) {
    let old = pthread_getspecific(key)
    pthread_setspecific(key, Unmanaged.passRetained(LastError(error)).toOpaque())
    if let old { Unmanaged<LastError>.fromOpaque(old).release() }
  }

  /// A part of this thread's last error; the empty string where nothing has failed.
  static func text(
    _ part: KeyPath<LastError, UnsafeMutablePointer<CChar>?>
  ) -> UnsafePointer<CChar>? {
    guard let value = pthread_getspecific(key) else { return Constant.empty }
    let error = Unmanaged<LastError>.fromOpaque(value).takeUnretainedValue()
    return error[keyPath: part].map { UnsafePointer($0) } ?? Constant.empty
  }

  static var lastMessage: UnsafePointer<CChar>? { text(\.message) }
  static var lastRemedy: UnsafePointer<CChar>? { text(\.remedy) }
  static var lastCause: UnsafePointer<CChar>? { text(\.cause) }
}

/// C strings that are valid for ever.
enum Constant {
  static var empty: UnsafePointer<CChar>? { pointer(empty_) }
  static var version: UnsafePointer<CChar>? { pointer(productVersion) }
  private static let empty_: StaticString = ""

  static func pointer(_ text: StaticString) -> UnsafePointer<CChar>? {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

extension CorpusError.Code {
  /// Its number in the header, and its name there.
  var inC: (number: Int, name: StaticString) {
    switch self {
    case .invalidArgument: (CC_INVALID_ARGUMENT, "invalid_argument")
    case .forked: (CC_FORKED, "forked")
    case .notACorpus: (CC_NOT_A_CORPUS, "not_a_corpus")
    case .alreadyExists: (CC_ALREADY_EXISTS, "already_exists")
    case .differentTask: (CC_DIFFERENT_TASK, "different_task")
    case .differentRecipe: (CC_DIFFERENT_RECIPE, "different_recipe")
    case .unsupportedVersion: (CC_UNSUPPORTED_VERSION, "unsupported_version")
    case .unknownRun: (CC_UNKNOWN_RUN, "unknown_run")
    case .malformedRange: (CC_MALFORMED_RANGE, "malformed_range")
    case .invalidRecipe: (CC_INVALID_RECIPE, "invalid_recipe")
    case .damagedShard: (CC_DAMAGED_SHARD, "damaged_shard")
    case .foreignShard: (CC_FOREIGN_SHARD, "foreign_shard")
    case .conflictingRuns: (CC_CONFLICTING_RUNS, "conflicting_runs")
    case .cannotReplay: (CC_CANNOT_REPLAY, "cannot_replay")
    case .differentRun: (CC_DIFFERENT_RUN, "different_run")
    case .indexMissing: (CC_INDEX_MISSING, "index_missing")
    case .indexStale: (CC_INDEX_STALE, "index_stale")
    case .indexCorrupt: (CC_INDEX_CORRUPT, "index_corrupt")
    case .invalidSQL: (CC_INVALID_SQL, "invalid_sql")
    case .interrupted: (CC_INTERRUPTED, "interrupted")
    case .missingDataset: (CC_MISSING_DATASET, "missing_dataset")
    case .malformedDataset: (CC_MALFORMED_DATASET, "malformed_dataset")
    case .differentDataset: (CC_DIFFERENT_DATASET, "different_dataset")
    case .diskFull: (CC_DISK_FULL, "disk_full")
    case .readOnly: (CC_READ_ONLY, "read_only")
    case .inputOutput: (CC_INPUT_OUTPUT, "input_output")
    case .resource: (CC_RESOURCE, "resource")
    case .claimedElsewhere: (CC_CLAIMED_ELSEWHERE, "claimed_elsewhere")
    case .emptySelection: (CC_EMPTY_SELECTION, "empty_selection")
    case .differentCorpus: (CC_DIFFERENT_CORPUS, "different_corpus")
    case .malformedRelease: (CC_MALFORMED_RELEASE, "malformed_release")
    case .malformedModel: (CC_MALFORMED_MODEL, "malformed_model")
    case .diverged: (CC_DIVERGED, "diverged")
    }
  }
}

@c @implementation
public func cc_version() -> UnsafePointer<CChar>? { Constant.version }

@c @implementation
public func cc_error_name(_ code: Int32) -> UnsafePointer<CChar>? {
  if code == CC_OK { return Constant.pointer("ok") }
  let known = CorpusError.Code.allCases.first { $0.inC.number == Int(code) }
  return Constant.pointer(known?.inC.name ?? "unknown")
}

@c @implementation
public func cc_error_message() -> UnsafePointer<CChar>? { LastError.lastMessage }

@c @implementation
public func cc_error_remedy() -> UnsafePointer<CChar>? { LastError.lastRemedy }

@c @implementation
public func cc_error_cause() -> UnsafePointer<CChar>? { LastError.lastCause }
