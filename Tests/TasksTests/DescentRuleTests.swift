import Tasks
import CKernels
import Corpus
import Datasets
import Foundation
import TestSupport
import Testing
import VectorKernels

/// Short MNIST and CIFAR-10 runs beside the published rules in Double; with any one of them broken, the two part.
@Suite struct DescentRuleTests {
  /// The largest distance of two trainings over their steps, as a share of what the first has moved by since its
  /// beginning.
  struct Distance {
    private(set) var value = 0.0
    private let start: [Double]

    init(from start: [Double]) { self.start = start }

    mutating func add(_ ours: [Double], _ naive: [Double]) {
      func norm(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      }
      value = max(value, norm(ours, naive) / norm(ours, start))
    }
  }

  static let limit = 1e-4

  // MARK: MNIST

  /// 70 images are 4 batches of 16, and 6 that an epoch leaves out.
  static let digits = Result { try ImageDataset.syntheticDigits(train: 70, test: 40) }

  private func mnist(breaking rule: NaiveDescent.Rule? = nil) throws -> Double {
    let digits = try Self.digits.get()
    var recipe = MNISTRecipe(dataset: digits.identity)
    (recipe.batchSize, recipe.epochs) = (16, 3)
    #expect(recipe.stepsPerEpoch == 4)
    var trainer = MNISTTrainer(
      recipe: recipe, images: MNISTImages(digits), kernels: try Kernels(environment: [:]), seed: 8)
    func images(_ part: ImageDataset.Part, _ indices: [Int]) -> (pixels: [[UInt8]], labels: [UInt8]) {
      (indices.map { Array(part.pixels[(784 * $0)..<(784 * ($0 + 1))]) }, indices.map { part.labels[$0] })
    }
    let test = images(digits.test, Array(0..<40))
    let start = trainer.network.parameters.map(Double.init)
    var naive = NaiveDescent(start, epochs: 3, stepsPerEpoch: 4, breaking: rule) { i in
      (7840..<7850).contains(i) || i >= 7950
    }
    var distance = Distance(from: start)
    var seen: Set<UInt32> = []
    for step in 0..<12 {
      let outcome = trainer.update()
      if step % 4 == 0 { seen = [] }
      seen.formUnion(trainer.batch)
      #expect(seen.count == 16 * (step % 4 + 1))
      let batch = images(digits.train, trainer.batch.map(Int.init))
      let before = NaiveClassifier(naive.parameters)
      naive.step(before.gradient(batch.pixels, batch.labels))
      distance.add(trainer.network.parameters.map(Double.init), naive.parameters)
      guard rule == nil else { continue }
      // What is logged: the batch before the step, and all test images after it.
      for (ours, naive) in [
        (outcome, before.outcome(batch.pixels, batch.labels)),
        (trainer.network.test(), NaiveClassifier(naive.parameters).outcome(test.pixels, test.labels)),
      ] {
        #expect(abs(Double(ours.loss) - naive.loss) < 1e-4 && abs(Double(ours.error) - naive.error) < 1e-3)
      }
    }
    return distance.value
  }

  @Test func `an MNIST run follows the published rules in Double`() throws {
    let distance = try mnist()
    #expect(distance < Self.limit, "\(distance)")
  }

  @Test(arguments: NaiveDescent.Rule.allCases)
  func `a broken rule of MNIST is noticed`(rule: NaiveDescent.Rule) throws {
    let distance = try mnist(breaking: rule)
    #expect(distance > 2 * Self.limit, "\(distance)")
  }

  // MARK: CIFAR-10

  /// 11 images are 2 batches of 4, and 3 that an epoch leaves out.
  static let textures = Result { try ImageDataset.syntheticTextures(train: 11, test: 6) }

  /// A picture as the published loader gives it: normalized, then mirrored, then padded by zeros, then cut.
  private func picture(_ part: ImageDataset.Part, _ view: ArraySlice<UInt32>) -> [Double] {
    let view = view.map(Int.init)
    let (means, deviations) = ([125.3, 123.0, 113.9], [63.0, 62.1, 66.7])
    var padded = [Double](repeating: 0, count: 3 * 40 * 40)
    for c in 0..<3 {
      for y in 0..<32 {
        for x in 0..<32 {
          let pixel = Double(part.pixels[view[0] * 3072 + c * 1024 + y * 32 + x])
          let column = view[1] == 1 ? 31 - x : x
          padded[c * 1600 + (y + 4) * 40 + column + 4] = (pixel - means[c]) / deviations[c]
        }
      }
    }
    return (0..<3072).map { j in
      padded[j / 1024 * 1600 + (j / 32 % 32 + view[2]) * 40 + j % 32 + view[3]]
    }
  }

  /// The mean gradient, loss and error of pictures.
  private func judge(_ parameters: [Double], _ pictures: [[Double]], _ labels: [UInt8], isGradient: Bool) -> (
    gradient: [Double], loss: Double, error: Double
  ) {
    let network = NaiveConvolution(parameters)
    var (gradient, loss, wrong) = ([Double](repeating: 0, count: 5370), 0.0, 0.0)
    for (picture, label) in zip(pictures, labels) {
      let logits = network.layers(picture).logits
      loss += NaiveConvolution.crossEntropy(logits, label: Int(label))
      if logits.indices.max(by: { logits[$0] < logits[$1] }) != Int(label) { wrong += 1 }
      if isGradient {
        for (i, g) in network.gradient(picture, label: Int(label)).enumerated() {
          gradient[i] += g / Double(labels.count)
        }
      }
    }
    return (gradient, loss / Double(labels.count), 100 * wrong / Double(labels.count))
  }

  private func cifar10(breaking rule: NaiveDescent.Rule? = nil) throws -> Double {
    let textures = try Self.textures.get()
    var recipe = CIFAR10Recipe(dataset: textures.identity)
    (recipe.batchSize, recipe.epochs) = (4, 3)
    #expect(recipe.stepsPerEpoch == 2)
    var trainer = CIFAR10Trainer(
      recipe: recipe, images: CIFAR10Images(textures), kernels: try Kernels(environment: [:]), seed: 8)
    let start = trainer.network.parameters.map(Double.init)
    var naive = NaiveDescent(start, epochs: 3, stepsPerEpoch: 2, breaking: rule) { $0 >= 5360 }
    var distance = Distance(from: start)
    let test = (0..<6 as Range<UInt32>).map { picture(textures.test, [$0, 0, 4, 4]) }
    for _ in 0..<6 {
      let outcome = trainer.update()
      let batch = trainer.network.views
      let views = stride(from: 0, to: batch.count, by: 4).map { batch[$0..<($0 + 4)] }
      let before = judge(
        naive.parameters, views.map { picture(textures.train, $0) },
        views.map { textures.train.labels[Int($0[$0.startIndex])] }, isGradient: true)
      naive.step(before.gradient)
      distance.add(trainer.network.parameters.map(Double.init), naive.parameters)
      guard rule == nil else { continue }
      let after = judge(naive.parameters, test, textures.test.labels, isGradient: false)
      for (ours, naive) in [(outcome, before), (trainer.network.test(), after)] {
        #expect(abs(Double(ours.loss) - naive.loss) < 1e-4 && abs(Double(ours.error) - naive.error) < 1e-3)
      }
    }
    return distance.value
  }

  @Test func `a CIFAR-10 run follows the published rules in Double`() throws {
    let distance = try cifar10()
    #expect(distance < Self.limit, "\(distance)")
  }

  @Test(arguments: NaiveDescent.Rule.allCases)
  func `a broken rule of CIFAR-10 is noticed`(rule: NaiveDescent.Rule) throws {
    let distance = try cifar10(breaking: rule)
    #expect(distance > 2 * Self.limit, "\(distance)")
  }
}
