import Corpus
import Datasets
import Testing

@Suite struct SyntheticTests {
  @Test func `digits are always the same`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 50, test: 20)
    #expect(digits.shape == .mnist && digits.train.count == 50 && digits.test.count == 20)
    #expect(digits.identity.name == "synthetic-digits")
    #expect(digits.identity.sha256 == "9a9c11ad9b60aa79d990883c9f42a36b9f7e3051c2b97262327aa6b9ade1209d")
    // A longer set begins with a shorter one, and the test images do not change.
    let more = try ImageDataset.syntheticDigits(train: 60, test: 20)
    #expect(more.train.pixels.starts(with: digits.train.pixels))
    #expect(more.test.pixels == digits.test.pixels && more.test.labels == digits.test.labels)
  }

  @Test func `textures are always the same`() throws {
    let textures = try ImageDataset.syntheticTextures(train: 20, test: 10)
    #expect(textures.shape == .cifar10 && textures.train.pixels.count == 20 * 3072)
    #expect(textures.identity.name == "synthetic-textures")
    #expect(textures.identity.sha256 == "4fc78eb02420b4c9479aaaf014dee4b082744e4501a78aee287451f716f59f5a")
  }

  @Test func `digits have about as much ink as MNIST, on black`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 1000, test: 1)
    let ink = digits.train.pixels.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
    #expect((100_000..<200_000).contains(ink))
    for label in 0..<10 as Range<UInt8> {
      #expect((60..<150).contains(digits.train.labels.count { $0 == label }))
    }
  }

  /// The nearest of the classes' mean images is right far more often than by chance, and not always.
  @Test func `digits can be learned`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 2000, test: 500)
    let size = digits.shape.count
    var means = [[Float]](repeating: [Float](repeating: 0, count: size), count: 10)
    for image in 0..<2000 {
      for i in 0..<size {
        means[Int(digits.train.labels[image])][i] += Float(digits.train.pixels[image * size + i]) / 200
      }
    }
    let right = (0..<500).count { image in
      let distances = means.map { mean in
        (0..<size).reduce(Float(0)) {
          let d = mean[$1] - Float(digits.test.pixels[image * size + $1])
          return $0 + d * d
        }
      }
      let nearest = distances.indices.min { distances[$0] < distances[$1] }
      return nearest == Int(digits.test.labels[image])
    }
    #expect((250..<495).contains(right))
  }

  @Test func `refuses to be empty`() {
    #expect(throws: CorpusError.self) { try ImageDataset.syntheticDigits(train: 0, test: 1) }
    #expect(throws: CorpusError.self) { try ImageDataset.syntheticTextures(train: 1, test: -1) }
  }
}
