import ArrayFiles
import Corpus
import Foundation
import TestSupport
import Testing

/// Files of arrays, read back by the description of their formats; Tests/PythonTests reads them by their libraries.
@Suite(.temporaryDirectories) struct ArrayFileTests {
  private let temporary = TemporaryDirectory()

  private func layout(rows: Int, metric: String = "loss") throws -> ArrayLayout {
    try ArrayLayout(
      columns: [
        ArrayColumn("vector", .float32, rowShape: [3]), ArrayColumn("run", .int64),
        ArrayColumn(metric, .float32),
      ], rows: rows, metadata: ["task": "ünïcode \"quoted\""])
  }

  private func write(_ writer: any ArrayWriter, rows: Int, at once: Int) throws {
    for start in stride(from: 0, to: rows, by: once) {
      let range = start..<min(start + once, rows)
      try range.map(Int64.init).withUnsafeBytes { try writer.append($0, to: 0) }
      let vectors = range.flatMap { row -> [Float] in [Float(row), 0.5, -Float(row)] }
      try vectors.withUnsafeBytes { try writer.append($0, to: 1) }
      try range.map { Float($0) / 2 }.withUnsafeBytes { try writer.append($0, to: 2) }
    }
    try writer.finish()
  }

  @Test(arguments: ArrayFormat.allCases, [1, 2, 7])
  func `rows may come in any portions`(format: ArrayFormat, portion: Int) throws {
    var contents: [Data] = []
    for once in [portion, 100] {
      let path = "\(temporary.path)/\(once)"
      try write(format.writer(layout(rows: 7), to: ReservedPath(path)), rows: 7, at: once)
      contents.append(try Data(contentsOf: URL(fileURLWithPath: path)))
    }
    // HDF5 puts datasets where it first writes them.
    if format != .hdf5 { #expect(contents[0] == contents[1]) }
    #expect(contents[0].count == contents[1].count)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: temporary.path).count == Set([portion, 100]).count)
  }

  @Test func `safetensors says where its tensors lie`() throws {
    let path = "\(temporary.path)/x"
    try write(SafetensorsWriter(layout(rows: 2), to: ReservedPath(path)), rows: 2, at: 2)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let length = bytes.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
    let header = try CanonicalJSON.decode(JSONValue.self, from: Data(bytes[8..<(8 + length)]))
    #expect(header["vector"]?["dtype"] == .string("F32"))
    #expect(header["vector"]?["shape"] == .array([.number(2), .number(3)]))
    #expect(header["run"]?["data_offsets"] == .array([.number(0), .number(16)]))
    #expect(header["vector"]?["data_offsets"] == .array([.number(16), .number(40)]))
    #expect(header["__metadata__"]?["task"] == .string("ünïcode \"quoted\""))
    #expect(bytes.count == 8 + length + 48 && (8 + length).isMultiple(of: 64))
    let vector = bytes[(8 + length + 16)..<(8 + length + 40)].withUnsafeBytes {
      Array($0.assumingMemoryBound(to: Float.self))
    }
    #expect(vector == [0, 0.5, 0, 1, 0.5, -1])
  }

  @Test func `npz with fields of 64 bits has the same members`() throws {
    let python = "/usr/bin/env"
    for (name, limit) in [("small", 0xFFFF_FFFF), ("large", 1), ("mixed", 500)] {
      let path = "\(temporary.path)/\(name)"
      try write(NPZWriter(layout(rows: 30), to: ReservedPath(path), zip64Limit: limit), rows: 30, at: 4)
      // Python's zipfile is what NumPy reads it with.
      let process = Process()
      process.executableURL = URL(fileURLWithPath: python)
      process.arguments = [
        "python3", "-c",
        """
        import sys, zipfile
        archive = zipfile.ZipFile(sys.argv[1])
        assert archive.testzip() is None
        assert archive.namelist() == ["run.npy", "vector.npy", "loss.npy", "metadata.npy"]
        assert len(archive.read("vector.npy")) == 128 + 30 * 12, len(archive.read("vector.npy"))
        """, path,
      ]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(name)")
    }
  }

  @Test(arguments: ArrayFormat.allCases)
  func `a name that is taken stays as it is`(format: ArrayFormat) throws {
    let path = "\(temporary.path)/x"
    let writer = try format.writer(layout(rows: 1), to: ReservedPath(path))
    // Taken meanwhile by somebody else.
    try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: CorpusError.self) { try write(writer, rows: 1, at: 1) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    let error = #expect(throws: CorpusError.self) { try ReservedPath(path) }
    #expect(error?.code == .alreadyExists && error?.message.contains(path) == true)
  }

  @Test func `one process at a time writes to a name`() throws {
    let path = "\(temporary.path)/x"
    let destination = try ReservedPath(path)
    let error = #expect(throws: CorpusError.self) { try ReservedPath(path) }
    #expect(error?.code == .resource)
    #expect(FileManager.default.fileExists(atPath: destination.temporary))
    withExtendedLifetime(destination) {}
  }

  @Test(arguments: ArrayFormat.allCases)
  func `a writer that is dropped leaves nothing`(format: ArrayFormat) throws {
    do {
      _ = try format.writer(layout(rows: 9), to: ReservedPath("\(temporary.path)/x"))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == [])
  }

  @Test func `two columns of one name are refused`() throws {
    for name in ["vector", "run", "metadata"] {
      let error = #expect(throws: CorpusError.self) { try layout(rows: 1, metric: name) }
      #expect(error?.message.contains(name) == true)
    }
  }
}
