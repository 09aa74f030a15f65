import Platform
package import Corpus
import Glibc

/// A file format of plain arrays.
public enum ArrayFormat: String, Sendable, CaseIterable {
  case safetensors, npz, hdf5
}

/// What a file of arrays will hold: some columns with equally many rows, and texts about them.
package struct ArrayLayout: Sendable {
  let columns: [ArrayColumn]
  let rows: Int
  let metadata: [String: String]

  /// More bytes than this no file system keeps, and no format counts.
  private static let byteLimit = 1 << 60

  /// - Throws: `invalidRecipe` if two columns have one name, as where a metric is called `parameters`;
  ///   `invalidArgument` for more rows than a file can have.
  package init(columns: [ArrayColumn], rows: Int, metadata: [String: String]) throws(CorpusError) {
    var names: Set = ["metadata"]
    for column in columns where !names.insert(column.name).inserted {
      throw CorpusError(
        .invalidRecipe,
        "the metric \(column.name) has a name that the exported file needs for something else",
        remedy: "read the shards with h5py instead")
    }
    let rowBytes = columns.reduce(0) { $0 + $1.rowBytes }
    guard rows <= Self.byteLimit / max(rowBytes, 1) else {
      throw CorpusError(
        .invalidArgument, "a file of \(rows) rows of \(rowBytes) bytes would be larger than any file can be",
        remedy: "ask for at most \(Self.byteLimit / max(rowBytes, 1)) rows")
    }
    // Those of eight bytes first, so that each array begins at a multiple of its elements' size.
    self.columns = columns.filter { $0.element == .int64 } + columns.filter { $0.element == .float32 }
    self.rows = rows
    self.metadata = metadata
  }
}

/// A file of arrays in the making. Rows are added to each column in their order; nothing is kept in memory.
package protocol ArrayWriter: AnyObject {
  /// - Parameters:
  ///   - bytes: whole rows, as they lie in memory.
  ///   - column: the column's number in the layout.
  func append(_ bytes: UnsafeRawBufferPointer, to column: Int) throws(CorpusError)

  /// Gives the file its name, once all rows are written.
  func finish() throws(CorpusError)
}

extension ArrayFormat {
  package func writer(_ layout: ArrayLayout, to destination: ReservedPath) throws(CorpusError)
    -> any ArrayWriter
  {
    switch self {
    case .safetensors: try SafetensorsWriter(layout, to: destination)
    case .npz: try NPZWriter(layout, to: destination)
    case .hdf5: try HDF5ArrayWriter(layout, to: destination)
    }
  }
}

/// An ``ArrayWriter`` whose columns are known by name.
package struct ArrayTable {
  private let writer: any ArrayWriter
  private let numbers: [String: Int]

  package init(_ format: ArrayFormat, _ layout: ArrayLayout, to destination: ReservedPath) throws(CorpusError)
  {
    writer = try format.writer(layout, to: destination)
    numbers = Dictionary(uniqueKeysWithValues: layout.columns.enumerated().map { ($1.name, $0) })
  }

  /// Adds rows to the column of this name.
  package func append<Value: BitwiseCopyable>(_ values: [Value], to name: String) throws(CorpusError) {
    guard let number = numbers[name] else { preconditionFailure("there is no column \(name)") }
    try values.withUnsafeBufferPointer { (buffer) throws(CorpusError) in
      try writer.append(UnsafeRawBufferPointer(buffer), to: number)
    }
  }

  package func finish() throws(CorpusError) { try writer.finish() }
}

/// Where a new file will be: free, and nobody else writing there.
///
/// What was written under the temporary name goes with the owner.
package final class ReservedPath {
  package let path: String
  package let temporary: String

  /// - Throws: `alreadyExists` if the name is taken; `resource` if another process writes a file of that name.
  package init(_ path: String) throws(CorpusError) {
    self.path = path
    try Self.requireFree(path)
    let folder = Files.split(path).directory
    guard Files.isDirectory(folder) else {
      throw CorpusError(
        .inputOutput, "cannot write \(path): there is no directory \(folder)",
        remedy: "make it, or choose another --out")
    }
    guard try !TemporaryFile.removeLeftovers(of: path) else {
      throw CorpusError(
        .resource, "another process is writing \(path)",
        remedy: "wait until it has ended, or choose another --out")
    }
    temporary = TemporaryFile.path(for: path)
    do throws(CorpusError) {
      // Now, so that whoever comes next sees it.
      _ = try Descriptor(opening: temporary, O_RDWR | O_CREAT | O_EXCL)
    } catch {
      throw error.naming(path, insteadOf: temporary)
    }
  }

  deinit { unlink(temporary) }

  package static func requireFree(_ path: String) throws(CorpusError) {
    if Files.exists(path) { throw taken(path) }
  }

  /// Works on the temporary file, and names in an error the file that it is to become.
  func naming<Value>(_ work: () throws(CorpusError) -> Value) throws(CorpusError) -> Value {
    do {
      return try work()
    } catch {
      throw error.naming(path, insteadOf: temporary)
    }
  }

  /// Gives the temporary file its name.
  ///
  /// - Parameter rename: does so, unless a file has it already.
  func publish(_ rename: () throws(CorpusError) -> Void) throws(CorpusError) {
    do {
      try naming(rename)
    } catch  where error.code == .alreadyExists {
      throw Self.taken(path)
    }
  }

  package static func taken(_ path: String) -> CorpusError {
    CorpusError(
      .alreadyExists, "\(path) is there already", remedy: "choose another --out, or remove it first")
  }
}

extension CorpusError {
  /// The same error of another file.
  package func naming(_ path: String, insteadOf other: String) -> CorpusError {
    var error = self
    error.message = message.replacing(other, with: path)
    return error
  }
}
