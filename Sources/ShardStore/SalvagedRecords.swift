import HDF5Files
import Platform
import CHDF5
package import Corpus

/// What can still be read of a shard's table of runs where the shard as a whole cannot be used.
///
/// Nothing proves these values; but no run has a hash by accident, so one that is made again and has the hash that
/// stands here is the run that was stored.
package struct SalvagedRecords {
  /// The recorded hash of each run, by its seed; empty where nothing can be read.
  package private(set) var hashes: [Int64: ContentHash] = [:]

  package init(from path: String) {
    try? read(path)
  }

  private mutating func read(_ path: String) throws(CorpusError) {
    try HDF5.prepare()
    let hdf5 = HDF5Object(
      try HDF5.reading(H5Fopen(path, ch5_read_only(), HDF5.readingAccess), "header", of: path),
      release: H5Fclose)
    let values = HDF5Values(file: hdf5.id, path: path, fileBytes: try Files.size(path))
    let seeds: [Int64] = try values.read("runs/seed", as: .int64, shape: nil, fill: 0)
    let bytes: [UInt8] = try values.read("runs/content_hash", as: .uint8, shape: [seeds.count, 32], fill: 0)
    for (i, seed) in seeds.enumerated() where (0..<SeedRange.limit).contains(seed) {
      hashes[seed] = ContentHash(bytes: Array(bytes[(32 * i)..<(32 * i + 32)]))
    }
  }
}
