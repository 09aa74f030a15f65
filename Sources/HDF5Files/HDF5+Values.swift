import Platform
package import CHDF5
package import Corpus

/// The element types of our datasets: the type on disk, always little endian, and the one in memory.
package enum HDF5Element {
  case float32, float64, int32, int64, uint8

  package var stored: hid_t {
    switch self {
    case .float32: ch5_float32()
    case .float64: ch5_float64()
    case .int32: ch5_int32()
    case .int64: ch5_int64()
    case .uint8: ch5_uint8()
    }
  }

  package var native: hid_t {
    switch self {
    case .float32: ch5_native_float()
    case .float64: ch5_native_double()
    case .int32: ch5_native_int32()
    case .int64: ch5_native_int64()
    case .uint8: ch5_native_uint8()
    }
  }

  package var size: Int {
    switch self {
    case .float32, .int32: 4
    case .float64, .int64: 8
    case .uint8: 1
    }
  }
}

/// Whole datasets and attributes of an open file, by name.
package struct HDF5Values {
  /// The open file's identifier; its owner outlives this value.
  package let file: hid_t
  package let path: String
  /// When reading: the file's length, which no dataset but the compressed one can exceed.
  package var fileBytes: Int64 = 0
  /// The open group that names of datasets are looked up in, where that is not the root.
  private var group: hid_t?
  /// What stands before such a name when looked up from the root.
  private var prefix = ""

  package init(file: hid_t, path: String, fileBytes: Int64 = 0) {
    self.file = file
    self.path = path
    self.fileBytes = fileBytes
  }

  /// Below this a dataset lies in its object header, whose checksum then covers it.
  private static let compactLimit = 32 << 10
  /// The attribute that holds the checksum of a larger one.
  private static let checksum = "xxh3"

  // MARK: Writing

  /// Makes a dataset and writes all of it.
  package func write<Value: BitwiseCopyable>(
    _ values: [Value], as element: HDF5Element, shape: [Int], to name: String
  ) throws(CorpusError) {
    let properties = HDF5.creation(ch5_dataset_create())
    let isSmall = values.count * element.size <= Self.compactLimit
    try HDF5.writing(
      H5Pset_layout(properties.id, isSmall ? H5D_COMPACT : H5D_CONTIGUOUS), name, of: path)
    let dataset = try create(name, element, shape, properties: properties.id)
    try HDF5.writing(
      H5Dwrite(dataset.id, element.native, HDF5.standard, HDF5.standard, HDF5.standard, values), name,
      of: path)
    if !isSmall { try setAttribute(Self.checksum, Checksum(of: values).description, of: dataset.id) }
  }

  package func create(
    _ name: String, _ element: HDF5Element, _ shape: [Int], properties: hid_t
  ) throws(CorpusError) -> HDF5Object {
    let space = HDF5Object(
      try HDF5.writing(H5Screate_simple(Int32(shape.count), shape.map(UInt64.init), nil), name, of: path),
      release: H5Sclose)
    return HDF5Object(
      try HDF5.writing(
        H5Dcreate2(file, name, element.stored, space.id, HDF5.standard, properties, HDF5.standard),
        name, of: path), release: H5Dclose)
  }

  package func createGroup(_ name: String) throws(CorpusError) {
    let properties = HDF5.creation(ch5_group_create())
    let id = H5Gcreate2(file, name, HDF5.standard, properties.id, HDF5.standard)
    try HDF5.writing(id, name, of: path)
    H5Gclose(id)
  }

  /// A fixed-length UTF-8 string: variable-length ones lie in HDF5's global heap, which has no checksum.
  ///
  /// - Parameter object: what it is of, where that is not the root group.
  package func setAttribute(_ name: String, _ text: String, of object: hid_t? = nil) throws(CorpusError) {
    let type = HDF5Object(H5Tcopy(ch5_c_string()), release: H5Tclose)
    H5Tset_size(type.id, max(text.utf8.count, 1))
    H5Tset_cset(type.id, H5T_CSET_UTF8)
    H5Tset_strpad(type.id, H5T_STR_NULLPAD)
    try setAttribute(
      name, of: object ?? file, type: type.id, memoryType: type.id, value: Array(text.utf8) + [0])
  }

  package func setAttribute(_ name: String, _ number: Int) throws(CorpusError) {
    try setAttribute(
      name, of: file, type: ch5_int64(), memoryType: ch5_native_int64(), value: [Int64(number)])
  }

  private func setAttribute(
    _ name: String, of object: hid_t, type: hid_t, memoryType: hid_t, value: [some BitwiseCopyable]
  ) throws(CorpusError) {
    let space = HDF5Object(H5Screate(H5S_SCALAR), release: H5Sclose)
    let attribute = HDF5Object(
      try HDF5.writing(
        H5Acreate2(object, name, type, space.id, HDF5.standard, HDF5.standard), name, of: path),
      release: H5Aclose)
    try HDF5.writing(H5Awrite(attribute.id, memoryType, value), name, of: path)
  }

  // MARK: Reading

  /// Opens a group, from which several datasets are to be read: each is then found faster than from the root.
  package func open(group name: String) throws(CorpusError) -> HDF5Object {
    HDF5Object(
      try HDF5.reading(H5Gopen2(file, name, HDF5.standard), "group \(name)", of: path), release: H5Gclose)
  }

  /// The datasets of an open group, whose owner outlives what is returned.
  package func datasets(of group: borrowing HDF5Object, _ name: String) -> HDF5Values {
    var values = self
    (values.group, values.prefix) = (group.id, name + "/")
    return values
  }

  /// Opens a dataset of this file. What a shard says lies elsewhere is refused: it would be another file's bytes, or a
  /// pipe that never answers.
  package func open(dataset name: String) throws(CorpusError) -> HDF5Object {
    let access = try HDF5.reading(HDF5.datasetAccess, "dataset \(name)", of: path)
    let dataset = HDF5Object(
      try HDF5.reading(H5Dopen2(group ?? file, name, access), "dataset \(prefix)\(name)", of: path),
      release: H5Dclose)
    // A virtual dataset, which lies in other files too, has no storage of its own: `read` finds that out.
    guard try HDF5.reading(ch5_is_external(dataset.id), "dataset \(prefix)\(name)", of: path) == 0 else {
      throw CorpusError.damagedShard(path, "its dataset \(prefix)\(name) lies in another file")
    }
    return dataset
  }

  /// The lengths of an open dataset along its dimensions, of which there must be `rank`.
  package func shape(_ dataset: borrowing HDF5Object, rank: Int, _ name: String) throws(CorpusError) -> [Int]
  {
    let space = HDF5Object(
      try HDF5.reading(H5Dget_space(dataset.id), "dataset \(name)", of: path), release: H5Sclose)
    guard H5Sget_simple_extent_ndims(space.id) == Int32(rank) else {
      throw CorpusError.damagedShard(path, "its dataset \(name) has not \(rank) dimensions")
    }
    var lengths = [UInt64](repeating: 0, count: rank)
    _ = try HDF5.reading(
      H5Sget_simple_extent_dims(space.id, &lengths, nil), "dataset \(name)", of: path)
    return try lengths.map { (length) throws(CorpusError) in
      guard length <= 1 << 40 else {
        throw CorpusError.damagedShard(path, "its dataset \(name) is impossibly large")
      }
      return Int(length)
    }
  }

  /// Reads a dataset, which must have this element type and shape; without one, any number of values in one dimension.
  package func read<Value: BitwiseCopyable>(
    _ lastName: String, as element: HDF5Element, shape expected: [Int]?, fill: Value
  ) throws(CorpusError) -> [Value] {
    let dataset = try open(dataset: lastName)
    let name = prefix + lastName
    let shape = try shape(dataset, rank: expected?.count ?? 1, name)
    if let expected, shape != expected {
      throw CorpusError.damagedShard(path, "its dataset \(name) has not the shape \(expected)")
    }
    try require(element, dataset, name)
    let count = shape.reduce(1, *)
    // Storage that is not there would be made up from fill values, in any amount that a header claims.
    guard count * element.size <= fileBytes,
      count == 0 || H5Dget_storage_size(dataset.id) == UInt64(count * element.size)
    else {
      throw CorpusError.damagedShard(path, "its dataset \(name) is not fully stored")
    }
    var values = [Value](repeating: fill, count: count)
    _ = try HDF5.reading(
      H5Dread(dataset.id, element.native, HDF5.standard, HDF5.standard, HDF5.standard, &values),
      "dataset \(name)", of: path)
    try requireChecksum(of: values, dataset, name)
    return values
  }

  /// Refuses a large dataset that is not as it was written. Those of the first shards have no checksum.
  private func requireChecksum<Value: BitwiseCopyable>(
    of values: [Value], _ dataset: borrowing HDF5Object, _ name: String
  ) throws(CorpusError) {
    guard values.count * MemoryLayout<Value>.stride > Self.compactLimit,
      try hasAttribute(Self.checksum, of: dataset.id)
    else { return }
    guard try text(attribute: Self.checksum, of: dataset.id) == Checksum(of: values).description else {
      throw CorpusError.damagedShard(path, "its dataset \(name) does not have the recorded checksum")
    }
  }

  /// Whether there is a dataset of this name in a group that is there.
  package func has(dataset name: String) throws(CorpusError) -> Bool {
    try HDF5.reading(H5Lexists(group ?? file, name, HDF5.standard), "dataset \(prefix)\(name)", of: path) > 0
  }

  package func require(
    _ element: HDF5Element, _ dataset: borrowing HDF5Object, _ name: String
  ) throws(CorpusError) {
    let type = HDF5Object(
      try HDF5.reading(H5Dget_type(dataset.id), "dataset \(name)", of: path), release: H5Tclose)
    guard H5Tequal(type.id, element.stored) > 0 else {
      throw CorpusError.damagedShard(path, "its dataset \(name) is not of type \(element)")
    }
  }

  package func hasAttribute(_ name: String, of object: hid_t? = nil) throws(CorpusError) -> Bool {
    try HDF5.reading(H5Aexists(object ?? file, name), "attribute \(name)", of: path) > 0
  }

  /// - Parameter object: what it is of, where that is not the root group.
  package func text(attribute name: String, of object: hid_t? = nil) throws(CorpusError) -> String {
    let attribute = try open(attribute: name, of: object ?? file)
    let type = HDF5Object(
      try HDF5.reading(H5Aget_type(attribute.id), "attribute \(name)", of: path), release: H5Tclose)
    let size = H5Tget_size(type.id)
    guard H5Tget_class(type.id) == H5T_STRING, H5Tis_variable_str(type.id) == 0,
      size <= Manifest.byteLimit, Int64(size) <= fileBytes, isScalar(attribute)
    else { throw CorpusError.damagedShard(path, "its attribute \(name) is not a string") }
    var bytes = [UInt8](repeating: 0, count: size)
    _ = try HDF5.reading(H5Aread(attribute.id, type.id, &bytes), "attribute \(name)", of: path)
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  package func number(attribute name: String) throws(CorpusError) -> Int {
    let attribute = try open(attribute: name, of: file)
    guard isScalar(attribute) else {
      throw CorpusError.damagedShard(path, "its attribute \(name) is not a number")
    }
    var value: Int64 = 0
    _ = try HDF5.reading(H5Aread(attribute.id, ch5_native_int64(), &value), "attribute \(name)", of: path)
    return Int(value)
  }

  private func open(attribute name: String, of object: hid_t) throws(CorpusError) -> HDF5Object {
    HDF5Object(
      try HDF5.reading(H5Aopen(object, name, HDF5.standard), "attribute \(name)", of: path),
      release: H5Aclose)
  }

  private func isScalar(_ attribute: borrowing HDF5Object) -> Bool {
    let space = HDF5Object(H5Aget_space(attribute.id), release: H5Sclose)
    return H5Sget_simple_extent_npoints(space.id) == 1
  }
}
