import Foundation

/// The 784-10-10 network in Double, one number at a time, on whole images: what the kernels are compared with.
package struct NaiveClassifier {
  static let count = 7960
  package static let mean = 0.1307
  package static let deviation = 0.3081

  package var parameters: [Double]
  var momentum = [Double](repeating: 0, count: count)

  package init(_ parameters: [Double]) { self.parameters = parameters }

  private func fc1(_ j: Int, _ p: Int) -> Double { parameters[784 * j + p] }
  private func fc2(_ c: Int, _ j: Int) -> Double { parameters[7850 + 10 * c + j] }

  package static func normalized(_ image: [UInt8]) -> [Double] {
    image.map { (Double($0) / 255 - mean) / deviation }
  }

  package func hidden(_ x: [Double]) -> [Double] {
    (0..<10).map { j in max(0, (0..<784).reduce(parameters[7840 + j]) { $0 + fc1(j, $1) * x[$1] }) }
  }

  package func outputs(_ hidden: [Double]) -> [Double] {
    (0..<10).map { c in (0..<10).reduce(parameters[7950 + c]) { $0 + fc2(c, $1) * hidden[$1] } }
  }

  package static func probabilities(_ outputs: [Double]) -> [Double] {
    let largest = outputs.max() ?? 0
    let powers = outputs.map { exp($0 - largest) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }

  /// The mean cross entropy, and the percentage of images whose largest output is not that of their label.
  package func outcome(_ images: [[UInt8]], _ labels: [UInt8]) -> (loss: Double, error: Double) {
    var loss = 0.0
    var wrong = 0.0
    for (image, label) in zip(images, labels) {
      let outputs = outputs(hidden(Self.normalized(image)))
      loss -= log(Self.probabilities(outputs)[Int(label)])
      let guess = outputs.indices.reduce(0) { outputs[$1] > outputs[$0] ? $1 : $0 }
      wrong += guess == Int(label) ? 0 : 1
    }
    return (loss / Double(labels.count), 100 * wrong / Double(labels.count))
  }

  /// The gradient of the mean cross entropy.
  package func gradient(_ images: [[UInt8]], _ labels: [UInt8]) -> [Double] {
    var gradient = [Double](repeating: 0, count: Self.count)
    for (image, label) in zip(images, labels) {
      let x = Self.normalized(image)
      let h = hidden(x)
      var d = Self.probabilities(outputs(h)).map { $0 / Double(labels.count) }
      d[Int(label)] -= 1 / Double(labels.count)
      for c in 0..<10 {
        gradient[7950 + c] += d[c]
        for j in 0..<10 { gradient[7850 + 10 * c + j] += d[c] * h[j] }
      }
      for j in 0..<10 where h[j] > 0 {
        let inner = (0..<10).reduce(0) { $0 + fc2($1, j) * d[$1] }
        gradient[7840 + j] += inner
        for p in 0..<784 { gradient[784 * j + p] += inner * x[p] }
      }
    }
    return gradient
  }

  /// A step of torch.optim.SGD with nesterov=True.
  package mutating func step(
    _ images: [[UInt8]], _ labels: [UInt8], rate: Double, beta: Double, decay: Double
  ) {
    for (i, g) in gradient(images, labels).enumerated() {
      let total = g + decay * parameters[i]
      momentum[i] = beta * momentum[i] + total
      parameters[i] -= rate * (total + beta * momentum[i])
    }
  }
}
