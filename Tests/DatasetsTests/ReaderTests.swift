import Corpus
import Datasets
import Foundation
import TestSupport
import Testing

/// Made-up files of both formats in a directory of their own.
struct DatasetFixture {
  let temporary = TemporaryDirectory()
  var directory: DatasetsDirectory { DatasetsDirectory(temporary.path) }

  static let names = [
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
  ]

  func write(_ bytes: [UInt8], to path: String) throws {
    let url = URL(fileURLWithPath: temporary.path + "/" + path)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }

  func remove(_ path: String) throws {
    try FileManager.default.removeItem(atPath: temporary.path + "/" + path)
  }

  /// Compresses a file, which gets the ending `.gz`.
  func compress(_ path: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/gzip")
    process.arguments = [temporary.path + "/" + path]
    try process.run()
    process.waitUntilExit()
  }

  static func idx(_ dimensions: [Int], _ elements: [UInt8]) -> [UInt8] {
    let sizes = dimensions.flatMap { n in [24, 16, 8, 0].map { UInt8(n >> $0 & 255) } }
    return [0, 0, 8, UInt8(dimensions.count)] + sizes + elements
  }

  /// Image i has the pixels i, i + 1, … and the label i mod 10.
  static func images(_ count: Int) -> [UInt8] {
    idx([count, 28, 28], (0..<count).flatMap { i in (0..<784).map { UInt8((i + $0) % 256) } })
  }

  static func labels(_ count: Int) -> [UInt8] { idx([count], (0..<count).map { UInt8($0 % 10) }) }

  func writeMNIST(in folder: String = "mnist/") throws {
    for (name, bytes) in zip(Self.names, [Self.images(12), Self.labels(12), Self.images(3), Self.labels(3)]) {
      try write(bytes, to: folder + name)
    }
  }

  /// Two images a file: their label is the file's number, their pixels too.
  func writeCIFAR10(in folder: String = "cifar-10-batches-bin/") throws {
    for batch in 1...6 {
      let record = [UInt8](repeating: UInt8(batch), count: 3073)
      try write(record + record, to: folder + (batch < 6 ? "data_batch_\(batch).bin" : "test_batch.bin"))
    }
  }
}

extension DatasetFixture {
  /// A batch of the Python version, in the instructions of the published ones.
  static func pickled(_ labels: [UInt8], _ pixels: [UInt8], columnsFirst: Bool = false) -> [UInt8] {
    func text(_ text: String) -> [UInt8] { [85, UInt8(text.utf8.count)] + Array(text.utf8) }
    func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
    let size = (0..<4).map { UInt8(pixels.count >> (8 * $0) & 255) }
    var bytes: [UInt8] = [0x80, 2, 125, 113, 1, 40]
    bytes += text("batch_label") + [113, 2] + text("training batch 1 of 5") + [113, 3]
    bytes += text("labels") + [113, 4, 93, 113, 5, 40] + labels.flatMap { [75, $0] } + [101]
    bytes += text("data") + [113, 6] + global("numpy.core.multiarray", "_reconstruct") + [113, 7]
    bytes +=
      global("numpy", "ndarray") + [113, 8, 75, 0, 0x85, 113, 9] + text("b") + [
        113, 10, 0x87, 113, 11, 82, 113, 12,
      ]
    bytes +=
      [40, 75, 1, 77, UInt8(labels.count), 0, 77, 0, 12, 0x86, 113, 13] + global("numpy", "dtype") + [
        113, 14,
      ]
    bytes +=
      text("u1") + [113, 15, 75, 0, 75, 1, 0x87, 113, 16, 82, 113, 17, 40, 75, 3] + text("|") + [
        113, 18, 78, 78, 78,
      ]
    bytes += [74, 255, 255, 255, 255, 74, 255, 255, 255, 255, 75, 0, 116, 113, 19, 98]
    bytes += [columnsFirst ? 0x88 : 0x89, 84] + size + pixels + [113, 20, 116, 113, 21, 98]
    bytes += text("filenames") + [113, 22, 93, 113, 23, 40]
    bytes += labels.indices.flatMap { text("\($0).png") + [113, 24] } + [101, 117, 46]
    return bytes
  }

  /// The images of `writeCIFAR10`, as torchvision fetches them.
  func writePickledCIFAR10(in folder: String = "cifar-10-batches-py/") throws {
    for batch in 1...6 {
      let pixels = [UInt8](repeating: UInt8(batch), count: 2 * 3072)
      try write(
        Self.pickled([UInt8(batch), UInt8(batch)], pixels),
        to: folder + (batch < 6 ? "data_batch_\(batch)" : "test_batch"))
    }
  }
}

@Suite(.temporaryDirectories) struct ReaderTests {
  private let fixture = DatasetFixture()

  private func expectMNIST() throws {
    let dataset = try ImageDataset.mnist(in: fixture.directory)
    #expect(dataset.shape == .mnist && dataset.train.count == 12 && dataset.test.count == 3)
    #expect(dataset.train.labels == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    #expect(dataset.train.pixels[784..<787] == [1, 2, 3] && dataset.test.pixels.count == 3 * 784)
    #expect(dataset.identity.name == "mnist" && dataset.identity.trainImages == 12)
    // Python: hashlib.sha256 over struct.pack("<q", n), pixels and labels of both parts.
    #expect(dataset.identity.sha256 == "4e00b9b9688c371935ade31c38f85ec640df928f51e4aec2b782a77b4f9e563b")
  }

  @Test(arguments: ["mnist/", "MNIST/raw/", "raw/", ""]) func `finds MNIST where people keep it`(
    folder: String
  )
    throws
  {
    try fixture.writeMNIST(in: folder)
    try expectMNIST()
  }

  @Test func `reads compressed files, and names with dots`() throws {
    try fixture.writeMNIST()
    try fixture.compress("mnist/train-images-idx3-ubyte")
    try fixture.compress("mnist/t10k-labels-idx1-ubyte")
    try fixture.remove("mnist/t10k-images-idx3-ubyte")
    try fixture.write(DatasetFixture.images(3), to: "mnist/t10k-images.idx3-ubyte")
    try expectMNIST()
  }

  @Test(arguments: ["cifar-10-batches-bin/", "cifar10/", ""]) func `finds CIFAR-10`(folder: String) throws {
    try fixture.writeCIFAR10(in: folder)
    let dataset = try ImageDataset.cifar10(in: fixture.directory)
    #expect(dataset.shape == .cifar10 && dataset.identity.name == "cifar10")
    #expect(dataset.train.labels == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5] && dataset.test.labels == [6, 6])
    #expect(dataset.train.pixels.count == 10 * 3072 && dataset.train.pixels[3 * 3072] == 2)
  }

  @Test(arguments: ["cifar-10-batches-py/", "cifar10/", ""])
  func `reads CIFAR-10's Python version as the same data set`(folder: String) throws {
    let other = DatasetFixture()
    try other.writeCIFAR10()
    try fixture.writePickledCIFAR10(in: folder)
    let dataset = try ImageDataset.cifar10(in: fixture.directory)
    #expect(dataset.identity == (try ImageDataset.cifar10(in: other.directory).identity))
    // The order of the pixels, and an array that lies column by column.
    let pixels = (0..<6144).map { UInt8($0 % 251) }
    try fixture.write(DatasetFixture.pickled([7, 8], pixels), to: folder + "data_batch_1")
    #expect(try ImageDataset.cifar10(in: fixture.directory).train.pixels.prefix(6144).elementsEqual(pixels))
    let columns = (0..<3072).flatMap { [pixels[$0], pixels[3072 + $0]] }
    try fixture.write(
      DatasetFixture.pickled([7, 8], columns, columnsFirst: true), to: folder + "data_batch_1")
    let turned = try ImageDataset.cifar10(in: fixture.directory).train
    #expect(turned.pixels.prefix(6144).elementsEqual(pixels) && turned.labels.prefix(2) == [7, 8])
  }

  @Test func `refuses what is no batch of the Python version`() throws {
    try fixture.writePickledCIFAR10()
    let good = DatasetFixture.pickled([1, 2], [UInt8](repeating: 1, count: 6144))
    for (bytes, says) in [
      ([], "cut short"), (good.dropLast(500), "cut short"), ([0x80, 2, 75, 1, 46], "no dictionary"),
      (DatasetFixture.pickled([1, 2], [UInt8](repeating: 1, count: 6143)), "not 2 images"),
      (DatasetFixture.pickled([1, 99], [UInt8](repeating: 1, count: 6144)), "label 99"),
      ([0x80, 2, 125, 46], "no list of labels"), ([101, 46], "has not"),
      ([255], "an instruction of no such file"),
    ] as [([UInt8], String)] {
      try fixture.write(bytes, to: "cifar-10-batches-py/data_batch_1")
      let error = #expect(throws: CorpusError.self) { try ImageDataset.cifar10(in: fixture.directory) }
      #expect(
        error?.code == .malformedDataset && error?.message.contains(says) == true,
        "\(String(describing: error))")
    }
    // No cut and no flipped byte ends the process.
    for place in stride(from: 0, to: good.count, by: 7) {
      var bytes = good
      bytes[place] ^= UInt8(1 + place % 255)
      for bytes in [bytes, Array(good.prefix(place))] {
        try fixture.write(bytes, to: "cifar-10-batches-py/data_batch_1")
        _ = try? ImageDataset.cifar10(in: fixture.directory)
      }
    }
  }

  @Test func `names an archive that is not unpacked`() throws {
    try fixture.write([1], to: "cifar-10-python.tar.gz")
    let error = #expect(throws: CorpusError.self) { try ImageDataset.cifar10(in: fixture.directory) }
    #expect(error?.code == .missingDataset && error?.message.contains("cifar-10-python.tar.gz") == true)
    #expect(error?.remedy.contains("tar -xzf") == true)
  }

  @Test func `asks the flag, then the environment, then Data`() {
    let environment = [DatasetsDirectory.variable: "/from/environment"]
    #expect(DatasetsDirectory("here", environment: environment).path == "here")
    #expect(DatasetsDirectory(environment: environment).path == "/from/environment")
    #expect(DatasetsDirectory(environment: [DatasetsDirectory.variable: ""]).path == "Data")
    #expect(DatasetsDirectory(environment: [:]).path == "Data")
  }

  @Test func `says what is missing where`() throws {
    let path = fixture.temporary.path
    var error = #expect(throws: CorpusError.self) { try ImageDataset.mnist(in: fixture.directory) }
    #expect(error?.code == .missingDataset)
    for words in ["train-images-idx3-ubyte", "\(path)/mnist", "\(path)/MNIST/raw"] {
      #expect(error?.message.contains(words) == true)
    }
    #expect(error?.remedy.contains("fetch-datasets") == true)
    try fixture.writeMNIST()
    try fixture.remove("mnist/t10k-labels-idx1-ubyte")
    error = #expect(throws: CorpusError.self) { try ImageDataset.mnist(in: fixture.directory) }
    #expect(error?.message.hasSuffix("\(path)/mnist lacks t10k-labels-idx1-ubyte") == true)
    error = #expect(throws: CorpusError.self) { try ImageDataset.cifar10(in: fixture.directory) }
    #expect(error?.message.contains("data_batch_1.bin") == true)
  }

  /// What a broken file is, where, and what the error says of it.
  static let damages: [(file: Int, bytes: [UInt8], says: String)] = [
    (0, DatasetFixture.labels(12), "magic number"),
    (1, DatasetFixture.images(12), "magic number"),
    (0, [UInt8](repeating: 9, count: 100), "magic number"),
    (0, [], "magic number"),
    (0, [0, 0, 8, 3, 0], "dimensions"),
    (0, DatasetFixture.images(12).dropLast(), "only 9407 bytes"),
    (0, DatasetFixture.images(12) + [1], "more bytes"),
    (0, DatasetFixture.images(11), "11 images"),
    (2, DatasetFixture.idx([3, 28, 27], [UInt8](repeating: 0, count: 3 * 28 * 27)), "[3, 28, 27]"),
    (2, DatasetFixture.idx([0, 28, 28], []), "0 elements"),
    (2, DatasetFixture.idx([0xFFFF_FFFF, 28, 28], []), "4294967295 elements"),
    (3, DatasetFixture.idx([3], [1, 10, 2]), "label 10 on test image 1"),
    // The beginning of a gzip file.
    (0, [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], "damaged or cut short"),
  ]

  @Test(arguments: damages.indices) func `refuses what is no MNIST`(index: Int) throws {
    let damage = Self.damages[index]
    try fixture.writeMNIST()
    try fixture.write(damage.bytes, to: "mnist/" + DatasetFixture.names[damage.file])
    let error = #expect(throws: CorpusError.self) { try ImageDataset.mnist(in: fixture.directory) }
    #expect(error?.code == .malformedDataset)
    #expect(error?.message.contains(damage.says) == true, "\(String(describing: error))")
  }

  @Test(arguments: [("flipped", "damaged"), ("cut", "cut short"), ("checksum", "damaged")])
  func `refuses damaged compression`(kind: String, says: String) throws {
    try fixture.writeMNIST()
    try fixture.compress("mnist/train-images-idx3-ubyte")
    let path = "mnist/train-images-idx3-ubyte.gz"
    var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixture.temporary.path + "/" + path)))
    switch kind {
    case "flipped": bytes[bytes.count / 2] ^= 0xFF
    case "cut": bytes.removeLast(bytes.count / 3)
    default: bytes[bytes.count - 6] ^= 1
    }
    try fixture.write(bytes, to: path)
    let error = #expect(throws: CorpusError.self) { try ImageDataset.mnist(in: fixture.directory) }
    #expect(error?.code == .malformedDataset)
    #expect(error?.message.contains(says) == true, "\(String(describing: error))")
  }

  @Test func `refuses what is no CIFAR-10`() throws {
    try fixture.writeCIFAR10()
    let record = [UInt8](repeating: 1, count: 3073)
    for (bytes, says) in [
      (record.dropLast(), "3072 bytes"), ([], "0 bytes"), (record + [7], "3074 bytes"),
      ([99] + record.dropFirst(), "label 99 on training image 2"),
    ] as [([UInt8], String)] {
      try fixture.write(bytes, to: "cifar-10-batches-bin/data_batch_2.bin")
      let error = #expect(throws: CorpusError.self) { try ImageDataset.cifar10(in: fixture.directory) }
      #expect(error?.code == .malformedDataset)
      #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }
  }

  @Test func `tells other data apart`() throws {
    try fixture.writeMNIST()
    let identity = try ImageDataset.mnist(in: fixture.directory).identity
    try identity.require(identity)
    try fixture.write(
      DatasetFixture.idx([12], [UInt8](repeating: 3, count: 12)), to: "mnist/train-labels-idx1-ubyte")
    let other = try ImageDataset.mnist(in: fixture.directory).identity
    let error = #expect(throws: CorpusError.self) { try other.require(identity) }
    #expect(error?.code == .differentDataset)
  }

  /// The real files, in the folder that CORPUS_DATASETS names.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: DatasetsDirectory().path + "/mnist")))
  func `reads the published MNIST`() throws {
    let dataset = try ImageDataset.mnist(in: DatasetsDirectory())
    #expect(dataset.train.count == 60_000 && dataset.test.count == 10_000)
    #expect(dataset.train.labels.prefix(5) == [5, 0, 4, 1, 9])
  }
}
