public import Corpus

extension ImageDataset {
  /// CIFAR-10 (Krizhevsky), from the six files of its binary version: for each image a byte with its label,
  /// then its red, green and blue pixels.
  ///
  /// They may lie in `cifar-10-batches-bin/` (the archive's own folder), in `cifar10/` or in the directory
  /// itself; plain, or compressed by gzip.
  ///
  /// - Throws: `missingDataset`, or `malformedDataset` naming the file and what is wrong with it.
  public static func cifar10(in directory: DatasetsDirectory) throws(CorpusError) -> ImageDataset {
    let names = (1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin"]
    let files = try directory.locate(
      "cifar10", folders: ["cifar-10-batches-bin", "cifar10", ""], files: names.map { [$0, $0 + ".gz"] })
    return try ImageDataset(
      name: "cifar10", shape: .cifar10, train: part(files.dropLast()), test: part(files.suffix(1)))
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
