public import Corpus

extension ImageDataset {
  /// MNIST (LeCun, Cortes and Burges), from its four IDX files, plain or compressed by gzip.
  ///
  /// They may lie in `mnist/`, in `MNIST/raw/` (where torchvision puts them), in `raw/` or in the directory itself.
  ///
  /// - Throws: `missingDataset`, or `malformedDataset` naming the file and what is wrong with it.
  public static func mnist(in directory: DatasetsDirectory) throws(CorpusError) -> ImageDataset {
    let names = [
      "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
      "t10k-labels-idx1-ubyte",
    ]
    let files = try directory.locate(
      "mnist", folders: ["mnist", "MNIST/raw", "raw", ""],
      files: names.map { name in
        // Some copies spell it with a dot.
        let dotted = name.replacing("-idx", with: ".idx")
        return [name, "\(name).gz", dotted, "\(dotted).gz"]
      })
    return try ImageDataset(
      name: "mnist", shape: .mnist,
      train: part(images: files[0], labels: files[1]), test: part(images: files[2], labels: files[3]))
  }

  private static func part(images: String, labels: String) throws(CorpusError) -> Part {
    let size = [Shape.mnist.height, Shape.mnist.width]
    let pixels = try idx(images, elementShape: size)
    let classes = try idx(labels, elementShape: [])
    let count = pixels.count / Shape.mnist.count
    guard count == classes.count else {
      throw .malformedDataset("\(images) has \(count) images, and \(labels) has \(classes.count) labels")
    }
    return Part(pixels: pixels, labels: classes)
  }

  /// The bytes of an IDX file: a magic number (two zeros, 8 for unsigned bytes, the number of dimensions), the
  /// dimensions (uint32, big endian), the elements.
  private static func idx(_ path: String, elementShape: [Int]) throws(CorpusError) -> [UInt8] {
    let file = try CompressedFile(opening: path)
    let header = try file.read(4 * (2 + elementShape.count)).map(Int.init)
    let magic: [Int] = [0, 0, 8, 1 + elementShape.count]
    guard header.prefix(4).elementsEqual(magic) else {
      throw .malformedDataset(
        "\(path) begins with the bytes \(header.prefix(4)), not with the magic number \(magic) of its IDX format"
      )
    }
    let dimensions = stride(from: 4, to: header.count - 3, by: 4).map { i in
      header[i..<(i + 4)].reduce(0) { $0 << 8 | $1 }
    }
    guard dimensions.count == magic[3], Array(dimensions.dropFirst()) == elementShape else {
      throw .malformedDataset(
        "\(path) has the dimensions \(dimensions), and each of its elements should be \(elementShape)")
    }
    // Far more than there are, and few enough for this machine's memory.
    guard (1...1_000_000).contains(dimensions[0]) else {
      throw .malformedDataset("\(path) says that it has \(dimensions[0]) elements")
    }
    let count = dimensions.reduce(1, *)
    // One byte more finds the end, and makes zlib compare the checksum.
    let bytes = try file.read(count + 1)
    guard bytes.count == count else {
      let found = bytes.count < count ? "only \(bytes.count)" : "more"
      throw .malformedDataset("\(path) has \(found) bytes after its header, not \(count)")
    }
    return bytes
  }
}
