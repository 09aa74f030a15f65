import Corpus

/// What a landscape shows, and how finely.
public struct LandscapeOptions: Sendable {
  /// Samples of the one start for the one prompt, at least 1.
  public var samples = 256
  /// The cells along a side of each level, from the coarsest to the finest.
  public var cells: [Int]
  /// How many times smaller the side of each level's region is than that of the one before: 1 if all show the whole region.
  public var zoom: Int
  /// The cells along the sides of a tile.
  public var tile = 128
  /// The test images that are measured on at most, the first ones; nil for all.
  public var images: Int?
  /// Training runs on it, that of the start included.
  public var runs = 6
  /// The checkpoints of each.
  public var checkpoints = 40

  /// - Parameter task: MNIST has a kernel for planes and gets all of the finest level; others get nested regions around the
  ///   samples, CIFAR-10 on some of its images. Each finest level is 16 times as fine as the first.
  public init(task: String) {
    switch task {
    case "mnist": (cells, zoom, images) = ([64, 256, 1024], 1, nil)
    case "cifar10": (cells, zoom, images) = ([32, 32, 32], 4, 512)
    default: (cells, zoom, images) = ([32, 32, 32], 4, nil)
    }
  }

  /// How many networks of the plane are measured.
  public var points: Int { cells.reduce(0) { $0 + $1 * $1 } }
}
