import CKernels
import TestSupport
import Testing

@Suite struct ConvolutionTests {
  /// Weights that leave about half of the units on either side of the ReLUs.
  static let parameters = random(5370, scale: 0.2, stream: 201).array

  static func packed(by k: ck_kernels, _ parameters: [Float] = parameters) -> Floats {
    let parameters = Floats(parameters)
    let result = Floats(count: Int(CK_CNN_BYTES) / 4)
    k.cnn_pack(parameters.p, result.opaque)
    return result
  }

  static func scratch() -> Floats { Floats(count: Int(CK_CNN_SCRATCH_BYTES) / 4) }

  /// Pictures seen in different ways, and one seen twice.
  static func crops(_ count: Int) -> [ck_crop] {
    (0..<count).map { (i: Int) -> ck_crop in
      let (row, column) = ((i * 3 + 4) % 8, (i * 5 + 4) % 8)
      return ck_crop(
        picture: UInt32(i == 2 ? 1 : i), flip: UInt8(i % 2), row: UInt8(row), column: UInt8(column))
    }
  }

  /// All places of the crop, mirrored and not, to within rounding.
  @Test(arguments: Path.all) func `pictures are cut, mirrored and normalised as the naive ones`(path: Path) {
    let pictures = Pictures(count: 2)
    let out = Floats(count: 3072)
    for flip in 0..<2 as Range<UInt8> {
      for place in 0..<8 as Range<UInt8> {
        for (row, column) in [(place, 4), (4, place), (place, 7 - place)] {
          let crop = ck_crop(picture: 1, flip: flip, row: row, column: column)
          var all = pictures.c
          path.k.cnn_picture(&all, crop, out.p)
          let expected = NaiveConvolution.picture(pictures, crop)
          #expect(largest(zip(out.doubles, expected).map { abs($0 - $1) }) < 1e-6)
        }
      }
    }
  }

  /// Each tensor's gradient, loss and errors of a batch, against the definition.
  @Test(arguments: Path.all, [1, 3]) func `the gradient is the naive one's`(path: Path, count: Int) {
    let pictures = Pictures(count: count)
    let crops = Self.crops(count)
    let gradient = Floats(count: 5376)
    var all = pictures.c
    let outcome = path.k.cnn_gradient(
      Self.packed(by: path.k).opaque, &all, count, crops, gradient.p, Self.scratch().p)

    let naive = NaiveConvolution(Self.parameters.map(Double.init))
    var expected = [Double](repeating: 0, count: 5370)
    var loss = 0.0
    var errors = 0
    for crop in crops {
      let picture = NaiveConvolution.picture(pictures, crop)
      let label = Int(pictures.labels[Int(crop.picture)])
      let logits = naive.layers(picture).logits
      loss += NaiveConvolution.crossEntropy(logits, label: label)
      errors += logits.indices.max { logits[$0] < logits[$1] } == label ? 0 : 1
      for (i, slope) in naive.gradient(picture, label: label).enumerated() {
        expected[i] += slope / Double(count)
      }
    }
    #expect(abs(Double(outcome.loss) * Double(count) - loss) < 1e-5 * loss)
    #expect(outcome.error == 100 * Float(errors) / Float(count))
    for tensor in [0..<432, 432..<5040, 5040..<5360, 5360..<5370] {
      #expect(relativeError(Array(gradient.doubles[tensor]), Array(expected[tensor])) < 1e-5)
    }
  }

  /// Evaluation is the forward pass of pictures as they are, whatever came before in the scratch memory.
  @Test(arguments: Path.all) func `losses and errors are the naive one's`(path: Path) {
    var pictures = Pictures(count: 4).c
    let weights = Self.packed(by: path.k)
    let scratch = random(Int(CK_CNN_SCRATCH_BYTES) / 4, scale: 1e6, stream: 202)
    let plain = (0..<4).map { ck_crop(picture: $0, flip: 0, row: 4, column: 4) }
    let tested = path.k.cnn_evaluate(weights.opaque, &pictures, 4, scratch.p)
    let trained = path.k.cnn_gradient(
      weights.opaque, &pictures, 4, plain, Floats(count: 5376).p, scratch.p)
    #expect(tested.loss == trained.loss && tested.loss > 0)
    #expect(tested.error == trained.error)
  }

  /// Logits far apart neither overflow nor lose the loss.
  @Test(arguments: Path.all) func `extreme logits have finite losses`(path: Path) {
    var pictures = Pictures(count: 1).c
    let parameters = [Float](repeating: 0, count: 5360) + (0..<10).map { Float($0) * 1000 }
    let gradient = Floats(count: 5376)
    let outcome = path.k.cnn_gradient(
      Self.packed(by: path.k, parameters).opaque, &pictures, 1, [ck_crop()], gradient.p, Self.scratch().p)
    #expect(outcome.loss == 9000 && outcome.error == 100)
    #expect(gradient.p[5360] == -1 && gradient.p[5369] == 1 && gradient.p[5365] == 0)
  }

  /// torch.optim.SGD's own description: v = m v + g, p -= r (g + m v), with g the decayed gradient.
  @Test(arguments: Path.all) func `a step of descent is the naive one's`(path: Path) {
    let gradient = random(48, stream: 203)
    let start = random(48, stream: 204)
    let (parameters, velocity) = (start.copy, Floats(count: 48))
    var (p, v) = (start.doubles, [Double](repeating: 0, count: 48))
    for step in 1...5 {
      var sgd = ck_sgd(learning_rate: 0.1 / Float(step), momentum: 0.9, weight_decay: 5e-2)
      path.k.sgd_step(&sgd, 48, gradient.p, parameters.p, velocity.p)
      for i in 0..<48 {
        let g = Double(gradient.p[i]) + 5e-2 * p[i]
        v[i] = 0.9 * v[i] + g
        p[i] -= 0.1 / Double(step) * (g + 0.9 * v[i])
      }
    }
    #expect(relativeError(parameters.doubles, p) < 1e-6)
    #expect(relativeError(velocity.doubles, v) < 1e-6)
  }

  /// The naive gradient itself, against differences of the naive loss.
  @Test func `naive gradient is the slope`() {
    let pictures = Pictures(count: 1)
    let picture = NaiveConvolution.picture(pictures, Self.crops(1)[0])
    let start = Self.parameters.map(Double.init)
    let gradient = NaiveConvolution(start).gradient(picture, label: 3)
    let h = 1e-6
    for i in [0, 13, 200, 431, 432, 1000, 3333, 5039, 5040, 5200, 5359, 5360, 5363, 5369] {
      func loss(_ value: Double) -> Double {
        var parameters = start
        parameters[i] = value
        let logits = NaiveConvolution(parameters).layers(picture).logits
        return NaiveConvolution.crossEntropy(logits, label: 3)
      }
      #expect(abs((loss(start[i] + h) - loss(start[i] - h)) / (2 * h) - gradient[i]) < 1e-6)
    }
  }
}
