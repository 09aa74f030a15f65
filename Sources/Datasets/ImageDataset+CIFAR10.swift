public import Corpus

extension ImageDataset {
  /// CIFAR-10 (Krizhevsky), from the six files of its binary version: for each image a byte with its label,
  /// then its red, green and blue pixels; or from those of its Python version, which torchvision fetches.
  ///
  /// They may lie in `cifar-10-batches-bin/` or `cifar-10-batches-py/` (the archives' own folders), in `cifar10/` or in
  /// the directory itself; binary ones plain, or compressed by gzip.
  ///
  /// - Throws: `missingDataset`, or `malformedDataset` naming the file and what is wrong with it.
  public static func cifar10(in directory: DatasetsDirectory) throws(CorpusError) -> ImageDataset {
    let names = (1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin"]
    let (folders, binaries) = (["cifar-10-batches-bin", "cifar10", ""], names.map { [$0, $0 + ".gz"] })
    let pickles = directory.find(
      folders: ["cifar-10-batches-py", "cifar10", ""], files: names.map { [String($0.dropLast(4))] })
    if let pickles, directory.find(folders: folders, files: binaries) == nil {
      return try ImageDataset(
        name: "cifar10", shape: .cifar10, train: pickled(pickles.dropLast()), test: pickled(pickles.suffix(1))
      )
    }
    let files = try directory.locate(
      "cifar10", folders: folders, files: binaries,
      archives: ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"])
    return try ImageDataset(
      name: "cifar10", shape: .cifar10, train: part(files.dropLast()), test: part(files.suffix(1)))
  }

  private static func pickled(_ files: ArraySlice<String>) throws(CorpusError) -> Part {
    var pixels: [UInt8] = []
    var labels: [UInt8] = []
    for path in files {
      // The published batches have 31 MB.
      let limit = 400_000_000
      let bytes = try CompressedFile(opening: path).read(limit)
      guard bytes.count < limit else {
        throw .malformedDataset("\(path) has more than \(limit) bytes, which no batch of CIFAR-10 has")
      }
      let batch = try PickledBatch(bytes, path: path)
      pixels += batch.pixels
      labels += batch.labels
    }
    return Part(pixels: pixels, labels: labels)
  }

  private static func part(_ files: ArraySlice<String>) throws(CorpusError) -> Part {
    let record = 1 + Shape.cifar10.count
    var pixels: [UInt8] = []
    var labels: [UInt8] = []
    for path in files {
      // The published batches have 10,000 records; ten times as many is surely something else.
      let limit = 100_000 * record
      let bytes = try CompressedFile(opening: path).read(limit + 1)
      guard !bytes.isEmpty, bytes.count <= limit, bytes.count.isMultiple(of: record) else {
        let size = bytes.count > limit ? "more than \(limit)" : "\(bytes.count)"
        throw .malformedDataset(
          "\(path) has \(size) bytes, not a multiple of \(record), an image and its label")
      }
      for start in stride(from: 0, to: bytes.count, by: record) {
        labels.append(bytes[start])
        pixels.append(contentsOf: bytes[(start + 1)..<(start + record)])
      }
    }
    return Part(pixels: pixels, labels: labels)
  }
}
