import Platform
import CCheckpointCorpus
import Corpus
import Glibc

/// What a C pointer to something open stands for. It belongs to the process that opened it.
class Handle {
  private let process = getpid()

  /// Whether this is the process that opened it, and not a child of that.
  final var isOwn: Bool { getpid() == process }

  /// Gives the object to C, which has to close it.
  final func passed() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }
}

extension OpaquePointer? {
  /// The object behind a pointer of C's, whatever the process; nil for NULL.
  func object<Object: Handle>(_ type: Object.Type) -> Object? {
    map { Unmanaged<Object>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
  }

  /// The object behind a pointer of C's.
  ///
  /// - Throws: `invalidArgument` for NULL, `forked` in another process than the one that opened it.
  func opened<Object: Handle>(_ type: Object.Type) throws(CorpusError) -> Object {
    guard let object = object(type) else { throw .invalidArgument("a handle is NULL") }
    guard object.isOwn else {
      throw CorpusError(
        .forked, "the process that opened this is another one, from which this one was forked",
        remedy: "open it again in this process")
    }
    return object
  }

  /// Takes the object back from C, and lets it go; in a child, where its files and locks are the parent's, it stays.
  func close<Object: Handle>(_ type: Object.Type) {
    guard let object = object(type), object.isOwn, let pointer = self else { return }
    Unmanaged<Object>.fromOpaque(UnsafeRawPointer(pointer)).release()
  }
}

extension CorpusError {
  static func invalidArgument(
    _ message: String, remedy: String = "pass what checkpoint_corpus.h asks for"
  ) -> CorpusError {
    CorpusError(.invalidArgument, message, remedy: remedy)
  }
}

/// Does what a function of the interface does, and turns errors into codes.
func guarded(_ body: () throws(CorpusError) -> Void) -> Int32 {
  do throws(CorpusError) {
    try body()
    return Int32(CC_OK)
  } catch {
    LastError.set(error)
    return Int32(error.code.inC.number)
  }
}

/// Likewise for what uses HDF5 or SQLite.
func guardedOnFiles(_ body: () throws(CorpusError) -> Void) -> Int32 {
  guarded { () throws(CorpusError) in try ForkGate.pass(body) }
}

/// A string of C's.
func string(_ text: UnsafePointer<CChar>?, _ what: String) throws(CorpusError) -> String {
  guard let text else { throw .invalidArgument("the \(what) is NULL") }
  return String(cString: text)
}

/// A path that stays the same when the process changes its directory.
func absolutePath(_ text: UnsafePointer<CChar>?, _ what: String) throws(CorpusError) -> String {
  Files.absolute(try string(text, what))
}

/// What a pointer argument points to.
func present<Pointer>(_ pointer: Pointer?, _ what: String) throws(CorpusError) -> Pointer {
  guard let pointer else { throw .invalidArgument("the pointer to the \(what) is NULL") }
  return pointer
}

/// A C string that is freed with its owner.
final class CText {
  let pointer: UnsafeMutablePointer<CChar>?

  init(_ text: String) { pointer = strdup(text) }

  deinit { free(pointer) }

  var start: UnsafePointer<CChar>? { pointer.map { UnsafePointer($0) } }
}
