import Foundation

/// The convolutional network in Double, by the definition of its layers: what the kernels are compared with.
package struct NaiveConvolution {
  var conv1: [Double]  // (16,3,3,3)
  var conv2: [Double]  // (32,16,3,3)
  var weight: [Double]  // (10,32)
  var bias: [Double]  // (10)

  package init(_ parameters: [Double]) {
    conv1 = Array(parameters[0..<432])
    conv2 = Array(parameters[432..<5040])
    weight = Array(parameters[5040..<5360])
    bias = Array(parameters[5360..<5370])
  }

  /// A convolution by 3x3 windows with padding 1: each pair of an input and an output element that a weight
  /// joins.
  private static func each(
    inputs: Int, outputs: Int, side: Int, stride: Int,
    _ body: (_ input: Int, _ output: Int, _ weight: Int) -> Void
  ) {
    let half = side / stride
    for o in 0..<outputs {
      for i in 0..<inputs {
        for k in 0..<9 {
          for y in 0..<half {
            for x in 0..<half {
              let (v, u) = (y * stride + k / 3 - 1, x * stride + k % 3 - 1)
              if (0..<side).contains(v) && (0..<side).contains(u) {
                body((i * side + v) * side + u, (o * half + y) * half + x, (o * inputs + i) * 9 + k)
              }
            }
          }
        }
      }
    }
  }

  /// The sums before each ReLU, and the logits, of a picture (3,32,32).
  package func layers(_ picture: [Double]) -> (
    first: [Double], second: [Double], pooled: [Double], logits: [Double]
  ) {
    var first = [Double](repeating: 0, count: 16 * 256)
    var second = [Double](repeating: 0, count: 32 * 256)
    Self.each(inputs: 3, outputs: 16, side: 32, stride: 2) { i, o, w in first[o] += picture[i] * conv1[w] }
    Self.each(inputs: 16, outputs: 32, side: 16, stride: 1) { i, o, w in
      second[o] += max(first[i], 0) * conv2[w]
    }
    let pooled = (0..<32).map { c in
      second[c * 256..<(c + 1) * 256].reduce(0) { $0 + max($1, 0) } / 256
    }
    let logits = (0..<10).map { k in
      (0..<32).reduce(bias[k]) { $0 + weight[k * 32 + $1] * pooled[$1] }
    }
    return (first, second, pooled, logits)
  }

  package static func crossEntropy(_ logits: [Double], label: Int) -> Double {
    log(logits.reduce(0) { $0 + exp($1) }) - logits[label]
  }

  /// The gradient (5370) of a picture's cross entropy.
  package func gradient(_ picture: [Double], label: Int) -> [Double] {
    let (first, second, pooled, logits) = layers(picture)
    let total = logits.reduce(0) { $0 + exp($1) }
    let slopes = logits.indices.map { exp(logits[$0]) / total - ($0 == label ? 1 : 0) }
    let pooledSlopes = (0..<32).map { c in (0..<10).reduce(0) { $0 + slopes[$1] * weight[$1 * 32 + c] } }
    let secondSlopes = second.indices.map { second[$0] > 0 ? pooledSlopes[$0 / 256] / 256 : 0 }
    var firstSlopes = [Double](repeating: 0, count: 16 * 256)
    var conv1Gradient = [Double](repeating: 0, count: 432)
    var conv2Gradient = [Double](repeating: 0, count: 4608)
    Self.each(inputs: 16, outputs: 32, side: 16, stride: 1) { i, o, w in
      conv2Gradient[w] += max(first[i], 0) * secondSlopes[o]
      if first[i] > 0 { firstSlopes[i] += conv2[w] * secondSlopes[o] }
    }
    Self.each(inputs: 3, outputs: 16, side: 32, stride: 2) { i, o, w in
      conv1Gradient[w] += picture[i] * firstSlopes[o]
    }
    return conv1Gradient + conv2Gradient + slopes.flatMap { slope in pooled.map { slope * $0 } } + slopes
  }
}
