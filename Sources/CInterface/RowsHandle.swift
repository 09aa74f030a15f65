import CorpusStore
import Platform
public import CCheckpointCorpus
import Corpus
import MetricIndex
import Synchronization

/// `cc_rows`: a cursor, and the rows that were fetched last.
final class RowsHandle: Handle {
  let columns: [CText]
  private let cursor: RowCursor
  /// Fetches of several threads wait for each other.
  private let turn = Mutex(())
  private let values = RowMemory<cc_value>()
  /// The characters of the values' texts and blobs.
  private let bytes = RowMemory<UInt8>()

  init(_ cursor: RowCursor) {
    self.cursor = cursor
    columns = cursor.columns.map(CText.init)
  }

  func interrupt() { cursor.interrupt() }

  /// Fetches rows into this object's memory.
  func fetch(
    limit: Int, values pointer: UnsafeMutablePointer<UnsafePointer<cc_value>?>,
    count: UnsafeMutablePointer<Int>
  ) throws(CorpusError) {
    try turn.withLock { _ throws(CorpusError) in
      values.removeAll()
      bytes.removeAll()
      var rows = 0
      while rows < limit, try cursor.next() {
        for column in columns.indices { add(cursor.value(at: column)) }
        rows += 1
      }
      pointer.pointee = addressed()
      count.pointee = rows
    }
  }

  private func add(_ value: RowCursor.Value) {
    switch value {
    case .null: values.append(cc_value(CC_NULL))
    case .integer(let number):
      var value = cc_value(CC_INTEGER)
      value.as.integer = number
      values.append(value)
    case .real(let number):
      var value = cc_value(CC_REAL)
      value.as.real = number
      values.append(value)
    case .text(let text): add(text, CC_TEXT)
    case .blob(let blob): add(blob, CC_BLOB)
    }
  }

  /// As the memory of `bytes` still moves, the value holds the offset in it for now.
  private func add(_ content: UnsafeRawBufferPointer, _ type: Int) {
    var value = cc_value(type, length: content.count)
    value.as.integer = Int64(bytes.count)
    values.append(value)
    bytes.append(contentsOf: content.bindMemory(to: UInt8.self))
    bytes.append(0)
  }

  /// Turns offsets into addresses, which are valid until the next fetch.
  private func addressed() -> UnsafePointer<cc_value> {
    for i in 0..<values.count where values.base[i].type == CC_TEXT || values.base[i].type == CC_BLOB {
      values.base[i].as.blob = UnsafeRawPointer(bytes.base + Int(values.base[i].as.integer))
    }
    return UnsafePointer(values.base)
  }
}

/// An array that stays where it is while nothing is added, so that C may look into it.
private final class RowMemory<Element> {
  private(set) var base = UnsafeMutablePointer<Element>.allocate(capacity: 64)
  private var capacity = 64
  private(set) var count = 0

  deinit {
    removeAll()
    base.deallocate()
  }

  func removeAll() {
    base.deinitialize(count: count)
    count = 0
  }

  func append(_ element: Element) {
    withUnsafePointer(to: element) { append(contentsOf: UnsafeBufferPointer(start: $0, count: 1)) }
  }

  func append(contentsOf elements: UnsafeBufferPointer<Element>) {
    if count + elements.count > capacity {
      capacity = max(2 * capacity, count + elements.count)
      let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
      larger.moveInitialize(from: base, count: count)
      base.deallocate()
      base = larger
    }
    if let first = elements.baseAddress { (base + count).initialize(from: first, count: elements.count) }
    count += elements.count
  }
}

extension cc_value {
  fileprivate init(_ type: Int, length: Int = 0) {
    self.init()
    self.type = Int32(type)
    self.length = Int64(length)
  }

  /// A value as it comes from C.
  fileprivate func copied() throws(CorpusError) -> SQLValue {
    switch Int(type) {
    case CC_NULL: return .null
    case CC_INTEGER: return .integer(`as`.integer)
    case CC_REAL: return .real(`as`.real)
    case CC_TEXT, CC_BLOB:
      guard length >= 0, length == 0 || `as`.blob != nil else {
        throw .invalidArgument("a text or blob is NULL, or has a negative length")
      }
      let content = UnsafeRawBufferPointer(start: `as`.blob, count: Int(length))
      return type == CC_BLOB ? .blob(Array(content)) : .text(String(decoding: content, as: UTF8.self))
    default: throw .invalidArgument("a value has the type \(type)")
    }
  }
}

@c @implementation
public func cc_query(
  _ corpus: OpaquePointer?, _ sql: UnsafePointer<CChar>?, _ parameters: UnsafePointer<cc_value>?,
  _ count: Int,
  _ rows: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let index = try corpus.opened(CorpusHandle.self).reader.index
    let rows = try present(rows, "rows")
    var values: [SQLValue] = []
    for value in UnsafeBufferPointer(start: parameters, count: parameters == nil ? 0 : count) {
      values.append(try value.copied())
    }
    let cursor = try RowCursor(string(sql, "SQL"), parameters: values, of: index)
    rows.pointee = RowsHandle(cursor).passed()
  }
}

@c @implementation
public func cc_rows_column_count(_ rows: OpaquePointer?) -> Int {
  rows.object(RowsHandle.self)?.columns.count ?? 0
}

@c @implementation
public func cc_rows_column(_ rows: OpaquePointer?, _ column: Int) -> UnsafePointer<CChar>? {
  guard let rows = rows.object(RowsHandle.self), rows.columns.indices.contains(column) else { return nil }
  return rows.columns[column].start
}

@c @implementation
public func cc_rows_fetch(
  _ rows: OpaquePointer?, _ limit: Int, _ values: UnsafeMutablePointer<UnsafePointer<cc_value>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    try rows.opened(RowsHandle.self).fetch(
      limit: limit, values: present(values, "values"), count: present(count, "number of rows"))
  }
}

@c @implementation
public func cc_rows_interrupt(_ rows: OpaquePointer?) {
  guard let rows = rows.object(RowsHandle.self), rows.isOwn else { return }
  rows.interrupt()
}

@c @implementation
public func cc_rows_close(_ rows: OpaquePointer?) { ForkGate.pass { rows.close(RowsHandle.self) } }
