import CKernels
import Corpus
import TestSupport
import Testing

/// Made-up images, as bytes and as the kernels want them. Never freed, like ``Floats``.
struct MadeUpImages {
  let images: [[UInt8]]
  let labels: [UInt8]
  let ink: ck_ink

  /// - Parameter density: The share of pixels that are not background.
  init(_ count: Int, density: Float = 0.2, stream: UInt64) {
    var random = PhiloxGenerator(seed: 7, stream: stream)
    images = (0..<count).map { _ in
      (0..<784).map { _ in random.uniform() < density ? UInt8(1 + random.integer(below: 255)) : 0 }
    }
    labels = (0..<count).map { _ in UInt8(random.integer(below: 10)) }
    var starts: [UInt32] = [0]
    var rows: [UInt16] = []
    var values: [UInt8] = []
    for image in images {
      for (place, value) in image.enumerated() where value != 0 {
        rows.append(UInt16(16 * place))
        values.append(value)
      }
      while rows.count % 4 != 0 {
        rows.append(0)
        values.append(0)
      }
      starts.append(UInt32(rows.count))
    }
    values += [UInt8](repeating: 0, count: 16)
    ink = ck_ink(
      starts: Self.keep(starts), rows: Self.keep(rows), values: Self.keep(values), labels: Self.keep(labels))
  }

  private static func keep<Element>(_ elements: [Element]) -> UnsafePointer<Element> {
    let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
    for (i, element) in elements.enumerated() { (memory + i).initialize(to: element) }
    return UnsafePointer(memory)
  }
}

@Suite struct MNISTTests {
  static var scale: ck_mnist_scale {
    ck_mnist_scale(
      background: Float(-NaiveClassifier.mean / NaiveClassifier.deviation),
      scale: Float(1 / (255 * NaiveClassifier.deviation)))
  }

  static func network(_ parameters: Floats, by k: ck_kernels) -> Floats {
    let network = Floats(count: Int(CK_MNIST_BYTES) / 4)
    k.mnist_pack(parameters.p, network.opaque)
    return network
  }

  static func parameters(of network: Floats, by k: ck_kernels) -> Floats {
    let parameters = Floats(count: 7960)
    k.mnist_unpack(network.opaque, parameters.p)
    return parameters
  }

  /// Takes a step on the images at `batch`.
  static func step(
    _ network: Floats, _ images: MadeUpImages, _ batch: [UInt32], rate: Float, momentum: Float = 0,
    decay: Float = 0, by k: ck_kernels
  ) -> ck_outcome {
    var scale = scale
    var ink = images.ink
    var sgd = ck_sgd(learning_rate: rate, momentum: momentum, weight_decay: decay)
    return k.mnist_step(network.opaque, &scale, &sgd, &ink, batch.count, batch)
  }

  static func evaluate(_ network: Floats, _ images: MadeUpImages, by k: ck_kernels) -> ck_outcome {
    var scale = scale
    var ink = images.ink
    return k.mnist_evaluate(network.opaque, &scale, &ink, images.labels.count)
  }

  private let start = random(7960, scale: 0.1, stream: 40)

  @Test(arguments: Path.all) func `packing loses nothing`(path: Path) {
    let network = Self.network(start, by: path.k)
    #expect(Self.parameters(of: network, by: path.k).bits == start.bits)
  }

  /// Whole groups of 16 images and parts of one; few and many ink pixels, none and nothing else.
  @Test(arguments: Path.all, [(1, 0.2), (16, 0.2), (37, 0.2), (5, 0), (18, 0.01), (3, 1)] as [(Int, Float)])
  func `losses and errors are the naive one's`(path: Path, images: (count: Int, density: Float)) {
    let images = MadeUpImages(images.count, density: images.density, stream: 1)
    let network = Self.network(start, by: path.k)
    let outcome = Self.evaluate(network, images, by: path.k)
    let expected = NaiveClassifier(start.doubles).outcome(images.images, images.labels)
    #expect(abs(Double(outcome.loss) / expected.loss - 1) < 1e-5)
    #expect(abs(Double(outcome.error) - expected.error) < 1e-4)
    #expect(Self.parameters(of: network, by: path.k).bits == start.bits)
  }

  /// A step of length 1 without momentum and decay is the gradient.
  @Test(arguments: Path.all, [16, 48]) func `the gradient is the naive one's`(path: Path, count: Int) {
    let images = MadeUpImages(64, stream: 2)
    let batch = (0..<count).map { UInt32(($0 * 29 + 3) % 64) }
    let network = Self.network(start, by: path.k)
    let outcome = Self.step(network, images, batch, rate: 1, by: path.k)
    let after = Self.parameters(of: network, by: path.k).doubles

    let chosen = batch.map { images.images[Int($0)] }
    let labels = batch.map { images.labels[Int($0)] }
    let naive = NaiveClassifier(start.doubles)
    let gradient = zip(start.doubles, after).map { $0 - $1 }
    #expect(relativeError(gradient, naive.gradient(chosen, labels)) < 1e-5)
    let expected = naive.outcome(chosen, labels)
    #expect(abs(Double(outcome.loss) / expected.loss - 1) < 1e-5)
    #expect(abs(Double(outcome.error) - expected.error) < 1e-4)
  }

  @Test(arguments: Path.all) func `steps of descent are the naive one's`(path: Path) {
    let images = MadeUpImages(96, stream: 3)
    let network = Self.network(start, by: path.k)
    var naive = NaiveClassifier(start.doubles)
    for step in 0..<6 {
      let batch = (0..<32).map { UInt32(($0 * 5 + step * 17) % 96) }
      _ = Self.step(network, images, batch, rate: 0.05, momentum: 0.9, decay: 0.01, by: path.k)
      naive.step(
        batch.map { images.images[Int($0)] }, batch.map { images.labels[Int($0)] }, rate: 0.05, beta: 0.9,
        decay: 0.01)
    }
    #expect(relativeError(Self.parameters(of: network, by: path.k).doubles, naive.parameters) < 1e-5)
    // Forgetting the momentum by packing again is not the same.
    let again = Self.network(Self.parameters(of: network, by: path.k), by: path.k)
    let batch = [UInt32](0..<16)
    _ = Self.step(network, images, batch, rate: 0.05, momentum: 0.9, by: path.k)
    _ = Self.step(again, images, batch, rate: 0.05, momentum: 0.9, by: path.k)
    #expect(Self.parameters(of: network, by: path.k).bits != Self.parameters(of: again, by: path.k).bits)
  }

  /// A network of large weights: certain, and wrong.
  @Test(arguments: Path.all) func `survives large outputs`(path: Path) {
    let images = MadeUpImages(20, stream: 4)
    let large = random(7960, scale: 10, stream: 41)
    let outcome = Self.evaluate(Self.network(large, by: path.k), images, by: path.k)
    let outputs = NaiveClassifier(large.doubles)
    let losses = zip(images.images, images.labels).map { image, label in
      let z = outputs.outputs(outputs.hidden(NaiveClassifier.normalized(image)))
      return z.reduce(z[0], max) - z[Int(label)]
    }
    // The largest output decides the sum of exponentials here.
    #expect(abs(Double(outcome.loss) / (losses.reduce(0, +) / 20) - 1) < 1e-3)
  }

  @Test func `a network of no numbers says zero`() {
    let images = MadeUpImages(40, stream: 5)
    let nothing = Floats([Float](repeating: .nan, count: 7960))
    for path in Path.all {
      let outcome = Self.evaluate(Self.network(nothing, by: path.k), images, by: path.k)
      #expect(outcome.loss.isNaN)
      #expect(abs(outcome.error - 2.5 * Float(images.labels.count { $0 != 0 })) < 1e-4)
    }
  }

  /// The naive gradient itself, against differences of the naive loss.
  @Test func `naive gradient is the slope`() {
    let images = MadeUpImages(6, stream: 6)
    var naive = NaiveClassifier(start.doubles)
    let gradient = naive.gradient(images.images, images.labels)
    let h = 1e-6
    for i in Array(stride(from: 0, to: 7840, by: 397)) + Array(7840..<7960) {
      let value = naive.parameters[i]
      naive.parameters[i] = value + h
      let above = naive.outcome(images.images, images.labels).loss
      naive.parameters[i] = value - h
      let below = naive.outcome(images.images, images.labels).loss
      naive.parameters[i] = value
      #expect(abs((above - below) / (2 * h) - gradient[i]) < 1e-6)
    }
  }
}
