import CKernels
import CPlaneKernels
import Corpus
import TestSupport
import Testing

/// Many networks of a plane at once, beside each by itself.
@Suite struct PlaneTests {
  /// Made-up images and a plane on them.
  private struct Plane {
    let images: MadeUpImages
    /// Origin, first and second direction.
    let vectors: [Floats]
    private var count: Int { images.labels.count }

    init(_ images: MadeUpImages) {
      self.images = images
      vectors =
        [random(7960, scale: 0.1, stream: 70)] + [71, 72].map { random(7960, scale: 0.05, stream: $0) }
    }

    /// The parameters at a point, as the kernel has those of its output layers.
    func network(_ x: Float, _ y: Float) -> [Float] {
      (0..<7960).map { i in
        vectors[0].p[i].addingProduct(x, vectors[1].p[i]).addingProduct(y, vectors[2].p[i])
      }
    }

    func outcomes(_ x: [Float], _ y: Float, losses: Bool = true, by path: Path) -> [ck_outcome] {
      withUnsafePointer(to: path.k) { kernels in
        let k = ck_plane_kernels_of(kernels).pointee
        let groups = ck_plane_groups(count)
        let (sums, heads) = (Floats(count: 3 * groups * 160), Floats(count: 330))
        let weights = Floats(count: 784 * 16)
        var (scale, ink) = (MNISTTests.scale, images.ink)
        for (index, vector) in vectors.enumerated() {
          k.first_layer(vector.p, &scale, &ink, count, weights.p, sums.p + index * groups * 160)
          for i in 0..<110 { heads.p[index * 110 + i] = vector.p[7850 + i] }
        }
        let labels = UnsafeMutableRawPointer.allocate(byteCount: 64 * groups, alignment: 64)
          .bindMemory(to: Int32.self, capacity: 16 * groups)
        for i in 0..<16 * groups { labels[i] = i < count ? Int32(images.labels[i]) : -1 }
        var plane = ck_plane(sums: sums.p, heads: heads.p, labels: labels)
        var outcomes = [ck_outcome](repeating: ck_outcome(loss: -1, error: -1), count: x.count)
        k.outcomes(&plane, count, losses ? 1 : 0, y, x.count, x, &outcomes)
        return outcomes
      }
    }
  }

  /// Whole groups of images and parts of one, and more than are added up in float; as many points as go together, and others.
  @Test(arguments: Path.all, [(1, 3), (16, 16), (37, 17), (600, 2)] as [(Int, Int)])
  func `losses and errors are the naive ones`(path: Path, counts: (images: Int, points: Int)) {
    let plane = Plane(MadeUpImages(counts.images, stream: 30))
    let x = (0..<counts.points).map { Float($0) * 0.37 - 2 }
    let outcomes = plane.outcomes(x, 1.5, by: path)
    for (x, outcome) in zip(x, outcomes) {
      let expected = NaiveClassifier(plane.network(x, 1.5).map(Double.init))
        .outcome(plane.images.images, plane.images.labels)
      #expect(abs(Double(outcome.loss) / expected.loss - 1) < 1e-5)
      #expect(abs(Double(outcome.error) - expected.error) < 1e-4)
    }
    #expect(Set(outcomes.map(\.loss)).count == counts.points)
  }

  @Test func `every path gives the same bits, and errors alone the same errors`() {
    let plane = Plane(MadeUpImages(50, stream: 31))
    let x = (0..<20).map { Float($0) * 0.3 - 3 }
    let reference = plane.outcomes(x, -0.7, by: Path.reference)
    for path in Path.all {
      let outcomes = plane.outcomes(x, -0.7, by: path)
      #expect(outcomes.map(\.loss.bitPattern) == reference.map(\.loss.bitPattern))
      #expect(outcomes.map(\.error) == reference.map(\.error))
      let errors = plane.outcomes(x, -0.7, losses: false, by: path)
      #expect(errors.map(\.error) == reference.map(\.error) && errors.allSatisfy { $0.loss == 0 })
    }
  }

  /// Far out networks are certain and wrong, and some are no numbers.
  @Test(arguments: Path.all) func `survives large outputs and no numbers`(path: Path) {
    let plane = Plane(MadeUpImages(20, stream: 32))
    let outcomes = plane.outcomes([300, .nan], 300, by: path)
    let far = plane.network(300, 300).map(Double.init)
    let losses = zip(plane.images.images, plane.images.labels).map { image, label in
      let naive = NaiveClassifier(far)
      let z = naive.outputs(naive.hidden(NaiveClassifier.normalized(image)))
      return z.reduce(z[0], max) - z[Int(label)]
    }
    #expect(abs(Double(outcomes[0].loss) / (losses.reduce(0, +) / 20) - 1) < 1e-3)
    #expect(outcomes[1].loss.isNaN)
    #expect(abs(outcomes[1].error - 5 * Float(plane.images.labels.count { $0 != 0 })) < 1e-4)
  }
}
