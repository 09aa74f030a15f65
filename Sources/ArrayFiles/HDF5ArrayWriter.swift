import HDF5Files
import CHDF5
import Corpus

/// One array of a file of arrays that all have the same number of rows.
public struct ArrayColumn: Hashable, Sendable {
  /// The type of its elements, little endian.
  public enum Element: Hashable, Sendable {
    case float32, int64

    public var size: Int { self == .float32 ? 4 : 8 }
  }

  public let name: String
  public let element: Element
  /// The shape of one row: empty for a column of numbers, [P] for one of parameter vectors.
  public let rowShape: [Int]

  public init(_ name: String, _ element: Element, rowShape: [Int] = []) {
    self.name = name
    self.element = element
    self.rowShape = rowShape
  }

  /// The length of a row in bytes.
  public var rowBytes: Int { rowShape.reduce(element.size, *) }
}

/// Writes an HDF5 file of plain arrays, row by row: contiguous datasets without filters, which every HDF5 reader
/// reads without plugins.
///
/// A writer that is dropped before ``finish()`` leaves nothing behind.
final class HDF5ArrayWriter: ArrayWriter {
  private let destination: ReservedPath
  private let output: HDF5Output
  private let columns: [ArrayColumn]
  private let rows: Int
  private var written: [Int]

  init(_ layout: ArrayLayout, to destination: ReservedPath) throws(CorpusError) {
    self.destination = destination
    (columns, rows) = (layout.columns, layout.rows)
    let path = destination.path
    written = columns.map { _ in 0 }
    let bytes = columns.reduce(0) { $0 + $1.rowBytes * layout.rows }
    output = try HDF5Output(path: path, temporary: destination.temporary, bytes: Int64(bytes + (64 << 10)))
    for (name, text) in layout.metadata.sorted(by: { $0.key < $1.key }) {
      try output.values.setAttribute(name, text)
    }
    let properties = HDF5.creation(ch5_dataset_create())
    try HDF5.writing(H5Pset_layout(properties.id, H5D_CONTIGUOUS), "layout", of: path)
    // All rows will be written, so filling them first would only cost time.
    try HDF5.writing(H5Pset_fill_time(properties.id, H5D_FILL_TIME_NEVER), "layout", of: path)
    for column in columns {
      _ = try output.values.create(
        column.name, column.element.hdf5, [rows] + column.rowShape, properties: properties.id)
    }
  }

  /// - Precondition: the column has no more rows than announced.
  func append(_ bytes: UnsafeRawBufferPointer, to number: Int) throws(CorpusError) {
    try HDF5.prepare()
    let column = columns[number]
    let count = bytes.count / column.rowBytes
    precondition(bytes.count == count * column.rowBytes && written[number] + count <= rows)
    let dataset = try output.values.open(dataset: column.name)
    let shape = ([count] + column.rowShape).map(UInt64.init)
    let corner = [UInt64(written[number])] + column.rowShape.map { _ in 0 }
    let memory = HDF5Object(
      try HDF5.writing(H5Screate_simple(Int32(shape.count), shape, nil), column.name, of: output.path),
      release: H5Sclose)
    let file = HDF5Object(
      try HDF5.writing(H5Dget_space(dataset.id), column.name, of: output.path), release: H5Sclose)
    try HDF5.writing(
      H5Sselect_hyperslab(file.id, H5S_SELECT_SET, corner, nil, shape, nil), column.name, of: output.path)
    try HDF5.writing(
      H5Dwrite(
        dataset.id, column.element.hdf5.native, memory.id, file.id, HDF5.standard, bytes.baseAddress),
      column.name, of: output.path)
    written[number] += count
  }

  func finish() throws(CorpusError) {
    precondition(written.allSatisfy { $0 == rows })
    try HDF5.prepare()
    try destination.publish { () throws(CorpusError) in try output.publish(replacing: false) }
  }
}

extension ArrayColumn.Element {
  fileprivate var hdf5: HDF5Element {
    switch self {
    case .float32: .float32
    case .int64: .int64
    }
  }
}
