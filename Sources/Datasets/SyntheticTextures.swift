public import Corpus

extension ImageDataset {
  /// Striped textures of our own making, of CIFAR-10's shape: the class is the direction and the width of the
  /// stripes; their place and colours vary, and there is noise. The same on every machine, as nothing but
  /// + - * of floats goes into them.
  ///
  /// - Throws: `malformedDataset` if there is to be no image.
  public static func syntheticTextures(train: Int = 50_000, test: Int = 10_000) throws(CorpusError)
    -> ImageDataset
  {
    try synthetic("synthetic-textures", shape: .cifar10, train: train, test: test, draw: texture)
  }

  /// One image, (3, 32, 32).
  private static func texture(label: Int, random: inout PhiloxGenerator) -> [UInt8] {
    func uniform(_ low: Float, _ high: Float) -> Float { low + (high - low) * random.uniform() }
    // Unit vectors across the stripes, in steps of 36 degrees.
    let directions: [SIMD2<Float>] = [
      [1, 0], [0.809, 0.588], [0.309, 0.951], [-0.309, 0.951], [-0.809, 0.588],
    ]
    // Stripes of about 7 or 4 pixels.
    let frequency = (label < 5 ? uniform(0.11, 0.17) : uniform(0.21, 0.29))
    let step = directions[label % 5] * frequency + SIMD2(uniform(-0.015, 0.015), uniform(-0.015, 0.015))
    let phase = uniform(2, 3)
    let ground = (0..<3).map { _ in uniform(70, 180) }
    let stripes = (0..<3).map { _ in uniform(-90, 90) }

    let shape = Shape.cifar10
    return [UInt8](unsafeUninitializedCapacity: shape.count) { pixels, initialized in
      var noise: UInt32 = 0
      for channel in 0..<shape.channels {
        for y in 0..<shape.height {
          for x in 0..<shape.width {
            let turns = phase + step.x * Float(x) + step.y * Float(y)
            let place = turns - turns.rounded(.down)
            // A triangle wave from -1 to 1.
            let wave = 1 - 4 * (place - 0.5).magnitude
            noise = initialized.isMultiple(of: 4) ? random.nextWord() : noise >> 8
            let grain = (Float(noise & 255) - 127.5) * 0.3
            let value = ground[channel] + stripes[channel] * wave + grain
            pixels[initialized] = UInt8(min(max(value, 0), 255))
            initialized += 1
          }
        }
      }
    }
  }
}
