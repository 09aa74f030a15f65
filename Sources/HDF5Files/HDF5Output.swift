package import Platform
import CHDF5
package import Corpus
import Glibc

/// A new HDF5 file under a temporary name, which goes with its owner unless it is published.
package final class HDF5Output {
  package let path: String
  /// The same file, opened by ourselves: for errno, space, and reading back.
  package let descriptor: Descriptor
  package let values: HDF5Values
  private let temporary: String
  private var file: HDF5Object?

  /// - Parameters:
  ///   - temporary: the name until then, where it is not the usual one.
  ///   - bytes: about how long the file will be; the disk space is taken at once.
  ///   - alignment: what the place of everything in the file is a multiple of.
  package init(path: String, temporary: String? = nil, bytes: Int64, alignment: Int = 1) throws(CorpusError) {
    try HDF5.prepare()
    self.path = path
    let temporary = temporary ?? TemporaryFile.path(for: path)
    self.temporary = temporary
    // First, as errno then tells why the file cannot be made.
    descriptor = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_TRUNC)
    let access = HDF5Object(H5Pcreate(ch5_file_access()), release: H5Pclose)
    // The newest layout that HDF5 1.10 reads puts a checksum on every piece of metadata.
    H5Pset_libver_bounds(access.id, H5F_LIBVER_V110, H5F_LIBVER_V110)
    // Each temporary file has one writer by its name; locks of HDF5's own fail on some cluster file systems.
    H5Pset_file_locking(access.id, false, true)
    H5Pset_alignment(access.id, 0, UInt64(alignment))
    // HDF5 gathers small pieces of data in blocks. Each chunk is to lie at the end of the file instead, where ShardWriter
    // finds it.
    H5Pset_small_data_block_size(access.id, 0)
    let creation = HDF5.creation(ch5_file_create())
    let id = H5Fcreate(temporary, ch5_truncate(), creation.id, access.id)
    values = HDF5Values(file: id, path: path)
    file = id >= 0 ? HDF5Object(id, release: H5Fclose) : nil
    try HDF5.writing(id, "header", of: path)
    try descriptor.reserve(bytes: bytes)
  }

  deinit {
    // Where the file has got its name, this finds nothing.
    try? Files.remove(temporary)
  }

  /// Closes the file and gives it its name. All else that belongs to it must be closed before.
  ///
  /// - Parameters:
  ///   - replacing: whether a file that has the name already may go.
  ///   - proof: called with the closed file before; if it throws, the file does not get its name.
  package func publish(
    replacing: Bool, proof: ((_ temporary: String) throws(CorpusError) -> Void)? = nil
  ) throws(CorpusError) {
    // Closing would hide whether the last bytes reached the disk.
    try HDF5.writing(H5Fflush(values.file, H5F_SCOPE_GLOBAL), "metadata", of: path)
    guard file.take()?.close() == true else { throw HDF5.writeFailure("metadata", path) }
    try descriptor.releaseReserve()
    if let proof {
      // What is proven is what lies on the disk, not what is remembered of it.
      try descriptor.synchronize()
      descriptor.forgetCache()
      try proof(temporary)
    }
    try Files.publish(temporary, as: path, replacing: replacing)
  }
}
