public import Corpus

/// Labelled images for training and testing, all of one shape.
public struct ImageDataset: Sendable {
  /// The numbers of an image, in the order in which they are stored.
  public struct Shape: Hashable, Sendable {
    public let channels: Int
    public let height: Int
    public let width: Int

    public init(channels: Int, height: Int, width: Int) {
      self.channels = channels
      self.height = height
      self.width = width
    }

    /// The bytes of an image.
    public var count: Int { channels * height * width }

    public static let mnist = Shape(channels: 1, height: 28, width: 28)
    public static let cifar10 = Shape(channels: 3, height: 32, width: 32)
  }

  /// Images and what they show.
  public struct Part: Sendable {
    /// (images, channels, height, width), 0 to 255.
    public let pixels: [UInt8]
    /// (images), each below ``ImageDataset/classes``.
    public let labels: [UInt8]

    public init(pixels: [UInt8], labels: [UInt8]) {
      self.pixels = pixels
      self.labels = labels
    }

    /// The number of images.
    public var count: Int { labels.count }
  }

  /// The number of classes of every data set here.
  public static let classes = 10

  public let shape: Shape
  public let train: Part
  public let test: Part
  /// Its name and what its contents are, for a recipe.
  public let identity: DatasetIdentity

  /// A data set of decoded images.
  ///
  /// - Throws: `malformedDataset` if the numbers of images, pixels and labels do not fit together, or if a
  ///   label is no class.
  public init(name: String, shape: Shape, train: Part, test: Part) throws(CorpusError) {
    for (title, part) in [("training", train), ("test", test)] {
      let has = "\(name) has"
      guard !part.labels.isEmpty else {
        throw .malformedDataset("\(has) no \(title) images")
      }
      guard part.pixels.count == part.count * shape.count else {
        throw .malformedDataset(
          "\(has) \(part.pixels.count) bytes of \(title) images, not \(part.count) labels times \(shape.count)"
        )
      }
      if let index = part.labels.firstIndex(where: { $0 >= Self.classes }) {
        throw .malformedDataset(
          "\(has) the label \(part.labels[index]) on \(title) image \(index), and labels go from 0 to "
            + "\(Self.classes - 1)")
      }
    }
    self.shape = shape
    self.train = train
    self.test = test
    identity = try DatasetIdentity(name: name, train: train, test: test)
  }
}

extension ImageDataset {
  /// The data set that a recipe names: read from a directory, or drawn, as many images as it says.
  ///
  /// - Throws: `missingDataset`; `malformedDataset`; `differentDataset` if what is there has another SHA-256.
  public init(_ recorded: DatasetIdentity, in directory: DatasetsDirectory) throws(CorpusError) {
    let (train, test) = (recorded.trainImages, recorded.testImages)
    switch recorded.name {
    case "mnist": self = try .mnist(in: directory)
    case "cifar10": self = try .cifar10(in: directory)
    case "synthetic-digits": self = try .syntheticDigits(train: train, test: test)
    case "synthetic-textures": self = try .syntheticTextures(train: train, test: test)
    default:
      throw CorpusError(
        .missingDataset, "no data set of this program is called \(recorded.name)",
        remedy: "use the release of checkpoint-corpus that made the recipe")
    }
    try identity.require(recorded)
  }
}

/// What a recipe says of its data: two data sets of equal identity train equal networks.
public struct DatasetIdentity: Codable, Hashable, Sendable {
  /// `mnist`, `cifar10`, `synthetic-digits` or `synthetic-textures`.
  public var name: String
  /// 64 hexadecimal digits: the SHA-256 of, for the training images and then the test images, their number
  /// (int64, little endian), their pixels (images, channels, height, width) and their labels, a byte each.
  public var sha256: String
  /// The numbers of images.
  public var trainImages: Int
  public var testImages: Int

  enum CodingKeys: String, CodingKey {
    case name, sha256
    case trainImages = "train_images"
    case testImages = "test_images"
  }

  /// An identity that was written down, as in a recipe.
  public init(name: String, sha256: String, trainImages: Int, testImages: Int) {
    self.name = name
    self.sha256 = sha256
    self.trainImages = trainImages
    self.testImages = testImages
  }

  init(name: String, train: ImageDataset.Part, test: ImageDataset.Part) throws(CorpusError) {
    var hash = try SHA256()
    for part in [train, test] {
      hash.update(Int64(part.count))
      hash.update(part.pixels)
      hash.update(part.labels)
    }
    self.init(
      name: name, sha256: ContentHash(bytes: hash.finish()).description, trainImages: train.count,
      testImages: test.count)
  }

  /// Refuses data that are not those of a recipe.
  ///
  /// - Parameter recorded: what the recipe says.
  /// - Throws: `differentDataset`.
  public func require(_ recorded: DatasetIdentity) throws(CorpusError) {
    guard self != recorded else { return }
    throw CorpusError(
      .differentDataset, "the recipe is for \(recorded.summary), not for \(summary)",
      remedy: "name the directory of the very same images with --datasets")
  }

  /// Whether so many images can be, without asking any data.
  public var hasPossibleCounts: Bool {
    (1...10_000_000).contains(trainImages) && (1...10_000_000).contains(testImages)
  }

  private var summary: String {
    "the data set \(name) with SHA-256 \(sha256.prefix(12))… (\(trainImages) + \(testImages) images)"
  }
}

extension CorpusError {
  /// The error for files that are there but are not what they should be.
  static func malformedDataset(_ message: String, cause: String? = nil) -> CorpusError {
    CorpusError(
      .malformedDataset, message,
      remedy: "fetch the data set again with Scripts/fetch-datasets, or check --datasets", cause: cause)
  }
}
