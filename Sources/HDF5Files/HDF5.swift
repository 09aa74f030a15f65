import Platform
import CDeltaCodec
package import CHDF5
package import Corpus
import Glibc

/// One HDF5 identifier, closed with its owner.
package struct HDF5Object: ~Copyable {
  package let id: hid_t
  private let release: @convention(c) (hid_t) -> herr_t

  /// - Parameter release: the function that closes this kind of identifier, such as `H5Fclose`.
  package init(_ id: hid_t, release: @escaping @convention(c) (hid_t) -> herr_t) {
    self.id = id
    self.release = release
  }

  /// Closes it, and tells whether that went well; for files, where closing writes.
  package consuming func close() -> Bool {
    let closed = release(id) >= 0
    discard self
    return closed
  }

  deinit { _ = release(id) }
}

/// HDF5's state for this process, and its failures as errors.
package enum HDF5 {
  /// HDF5's `H5P_DEFAULT`, `H5S_ALL` and `H5E_DEFAULT`.
  package static let standard: hid_t = 0

  private static let isReady: Bool = {
    // At exit HDF5 would flush files that a full disk has already made impossible to flush, and hang.
    H5dont_atexit()
    guard H5open() >= 0 else { return false }
    return H5Zregister(cdelta_hdf5_filter()) >= 0 && H5Zregister(cdelta_hdf5_zstd_filter()) >= 0
  }()

  /// Opens the library, with our filters, and keeps its error stack from being printed on this thread.
  package static func prepare() throws(CorpusError) {
    guard isReady else {
      throw CorpusError(.resource, "the HDF5 library does not start", remedy: "install libhdf5 again")
    }
    H5Eset_auto2(standard, nil, nil)
  }

  /// Properties of a file, group or dataset that is to be made. Its header does not say when: equal contents are equal
  /// files.
  ///
  /// - Parameter kind: such as `ch5_dataset_create()`.
  package static func creation(_ kind: hid_t) -> HDF5Object {
    let properties = HDF5Object(H5Pcreate(kind), release: H5Pclose)
    H5Pset_obj_track_times(properties.id, false)
    return properties
  }

  /// How files are opened for reading: without HDF5's own locks, which fail on some cluster file systems. Made once, as
  /// making lists of properties takes a good part of the time that opening a small file does.
  package static let readingAccess: hid_t = {
    let access = H5Pcreate(ch5_file_access())
    H5Pset_file_locking(access, false, true)
    return access
  }()

  /// How datasets are opened: nothing is read that lies in another file. Negative where HDF5 cannot promise that.
  package static let datasetAccess: hid_t = {
    let access = H5Pcreate(ch5_dataset_access())
    return ch5_refuse_external_links(access) < 0 ? -1 : access
  }()

  /// The innermost message of this thread's error stack.
  package static func lastMessage() -> String? {
    var messages: [String] = []
    withUnsafeMutablePointer(to: &messages) { pointer in
      _ = H5Ewalk2(
        standard, H5E_WALK_UPWARD,
        { _, entry, context in
          if let text = entry?.pointee.desc, let context {
            context.assumingMemoryBound(to: [String].self).pointee.append(String(cString: text))
          }
          return 0
        }, pointer)
    }
    H5Eclear2(standard)
    return messages.first.map(Self.core)
  }

  /// What a message says, without the addresses and times that HDF5 puts around errno's text.
  private static func core(_ message: String) -> String {
    guard let quoted = message.firstMatch(of: /error message = '([^']*)'/) else { return message }
    return String(quoted.1)
  }

  /// The errno that a failed call has met, by the text that HDF5 quotes; it keeps no number.
  package static func errno(behind cause: String?) -> Int32? {
    [ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, EIO, EACCES].first {
      String(cString: strerror($0)) == cause
    }
  }

  /// Passes a code or identifier on if it is not negative, as all of HDF5's failures are.
  package static func reading<Code: SignedInteger>(
    _ code: Code, _ what: String, of path: String
  ) throws(CorpusError) -> Code {
    guard code >= 0 else {
      throw CorpusError.damagedShard(path, "its \(what) cannot be read", cause: lastMessage())
    }
    return code
  }

  @discardableResult
  package static func writing<Code: SignedInteger>(
    _ code: Code, _ what: String, of path: String
  ) throws(CorpusError) -> Code {
    guard code >= 0 else { throw writeFailure(what, path) }
    return code
  }

  package static func writeFailure(_ what: String, _ path: String) -> CorpusError {
    let cause = lastMessage()
    if let errno = errno(behind: cause) { return Files.error("write", path, errno: errno) }
    return CorpusError(
      .inputOutput, "cannot write the \(what) of \(path)", remedy: "check the disk", cause: cause)
  }
}
