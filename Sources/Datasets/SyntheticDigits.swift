public import Corpus

extension ImageDataset {
  /// Digits of our own drawing, of MNIST's shape and about its amount of ink: strokes of varied place, size,
  /// slant, width and shape. The same on every machine, as nothing but + - * / and square roots of floats go
  /// into them.
  ///
  /// - Throws: `malformedDataset` if there is to be no image.
  public static func syntheticDigits(train: Int = 60_000, test: Int = 10_000) throws(CorpusError)
    -> ImageDataset
  {
    var canvas = DigitCanvas()
    return try synthetic("synthetic-digits", shape: .mnist, train: train, test: test) { label, random in
      canvas.draw(digit: label, random: &random)
    }
  }

  /// A data set each image of which is drawn from random numbers of its own.
  static func synthetic(
    _ name: String, shape: Shape, train: Int, test: Int,
    draw: (_ label: Int, _ random: inout PhiloxGenerator) -> [UInt8]
  ) throws(CorpusError) -> ImageDataset {
    func part(_ images: Range<Int>) -> Part {
      var pixels: [UInt8] = []
      pixels.reserveCapacity(images.count * shape.count)
      var labels: [UInt8] = []
      for image in images {
        var random = PhiloxGenerator(seed: 0x5EED_DA7A, stream: UInt64(image))
        let label = Int(random.integer(below: UInt32(classes)))
        labels.append(UInt8(label))
        pixels.append(contentsOf: draw(label, &random))
      }
      return Part(pixels: pixels, labels: labels)
    }
    // The test images have numbers of their own, so that they do not change with the number of the others.
    return try ImageDataset(
      name: name, shape: shape, train: part(0..<max(0, train)),
      test: part(1 << 32..<1 << 32 + max(0, test)))
  }
}

/// A surface of 28 × 28 pixels to draw digits on.
private struct DigitCanvas {
  private typealias Point = SIMD2<Float>

  /// Each digit as one line from point to point, in a unit square, y downwards.
  private static let strokes: [[Point]] = [
    [(50, 5), (80, 20), (88, 50), (80, 80), (50, 95), (20, 80), (12, 50), (20, 20), (50, 5)],
    [(30, 25), (55, 5), (55, 95)],
    [(15, 25), (35, 7), (65, 7), (82, 27), (70, 50), (15, 95), (88, 95)],
    [(17, 15), (50, 5), (78, 20), (70, 42), (42, 48), (75, 55), (83, 75), (55, 95), (15, 85)],
    [(65, 95), (65, 5), (10, 65), (90, 65)],
    [(82, 5), (25, 5), (20, 45), (60, 40), (84, 65), (65, 93), (15, 87)],
    [(75, 8), (40, 25), (17, 60), (30, 92), (65, 93), (83, 70), (60, 50), (20, 62)],
    [(12, 7), (88, 7), (42, 95)],
    [
      (50, 48), (22, 30), (30, 8), (70, 8), (78, 30), (50, 48), (82, 72), (65, 95), (35, 95), (18, 72),
      (50, 48),
    ],
    [(80, 40), (45, 50), (18, 30), (38, 6), (72, 10), (82, 40), (70, 95)],
  ].map { points in points.map { Point(Float($0.0), Float($0.1)) / 100 } }

  private let side = ImageDataset.Shape.mnist.width
  private var pixels: [UInt8] = []

  /// One image of a digit, (28, 28).
  mutating func draw(digit: Int, random: inout PhiloxGenerator) -> [UInt8] {
    func uniform(_ low: Float, _ high: Float) -> Float { low + (high - low) * random.uniform() }
    pixels = [UInt8](repeating: 0, count: side * side)
    let size = Point(uniform(9, 18), uniform(13, 20))
    let center = Point(uniform(11, 16), uniform(11, 16))
    let slant = uniform(-0.35, 0.55)
    let radius = uniform(0.8, 1.6)
    let points = Self.strokes[digit].map { point in
      let shaky = point + Point(uniform(-0.13, 0.13), uniform(-0.13, 0.13)) - 0.5
      return Point(shaky.x - slant * shaky.y, shaky.y) * size + center
    }
    for (from, to) in zip(points, points.dropFirst()) { line(from: from, to: to, radius: radius) }
    return pixels
  }

  /// Darkens the pixels near a line, those at its edge in part.
  private mutating func line(from: Point, to: Point, radius: Float) {
    let along = to - from
    let length = max((along * along).sum(), 1e-6)
    let margin = radius + 1
    func range(_ a: Float, _ b: Float) -> Range<Int> {
      let low = max(0, Int(min(a, b) - margin))
      return low..<max(low, min(side, Int(max(a, b) + margin) + 1))
    }
    for y in range(from.y, to.y) {
      for x in range(from.x, to.x) {
        let offset = Point(Float(x), Float(y)) - from
        let share = min(max((offset * along).sum() / length, 0), 1)
        let away = offset - along * share
        let ink = min(max(radius + 0.5 - (away * away).sum().squareRoot(), 0), 1)
        pixels[y * side + x] = max(pixels[y * side + x], UInt8(ink * 255))
      }
    }
  }
}
