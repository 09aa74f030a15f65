import CKernels
import Foundation
import Testing

/// The kernels between a transformer's products, against naive ones in double precision.
@Suite struct TransformerTests {
  /// Below, at and above a vector's width.
  static let widths = [1, 7, 16, 40]

  private func transformer(_ path: Path) -> ck_transformer { path.k.transformer.pointee }

  /// The derivative of `function` by each of `x` in the direction of `weights`, by central differences.
  private func numerical(
    _ x: [Double], _ weights: [Double], _ function: ([Double]) -> [Double]
  ) -> [Double] {
    x.indices.map { i in
      func at(_ step: Double) -> Double {
        var x = x
        x[i] += step
        return zip(function(x), weights).reduce(0) { $0 + $1.0 * $1.1 }
      }
      return (at(1e-5) - at(-1e-5)) / 2e-5
    }
  }

  private func norm(_ x: [Double], _ gain: [Double], _ bias: [Double]) -> [Double] {
    let width = gain.count
    return stride(from: 0, to: x.count, by: width).flatMap { start in
      let row = Array(x[start..<(start + width)])
      let mean = row.reduce(0, +) / Double(width)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      return row.indices.map { (row[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + bias[$0] }
    }
  }

  @Test(arguments: Path.all, widths) func `layer norm and its gradient are the naive ones`(
    path: Path, width: Int
  ) {
    let rows = 6
    let x = random(rows * width, stream: 1), gain = random(width, stream: 2), bias = random(width, stream: 3)
    let positions = random(3 * width, stream: 4), dy = random(rows * width, stream: 5)
    let base = random(rows * width, stream: 6)
    let y = Floats(count: rows * width), statistics = Floats(count: 2 * rows),
      dx = Floats(count: rows * width)
    let gainGradient = Floats(count: width), biasGradient = Floats(count: width)
    transformer(path).norm(rows, width, x.p, gain.p, bias.p, positions.p, 3, [1, 2, 0], y.p, statistics.p)
    var expected = norm(x.doubles, gain.doubles, bias.doubles)
    for i in expected.indices {
      expected[i] += positions.doubles[[1, 2, 0][i / width % 3] * width + i % width]
    }
    #expect(relativeError(y.doubles, expected) < 1e-5)
    transformer(path).norm_gradient(
      rows, width, x.p, gain.p, statistics.p, dy.p, base.p, dx.p, gainGradient.p, biasGradient.p)
    let slopes = numerical(x.doubles, dy.doubles) { norm($0, gain.doubles, bias.doubles) }
    #expect(relativeError(dx.doubles, zip(slopes, base.doubles).map(+)) < 1e-4)
    let gains = numerical(gain.doubles, dy.doubles) { norm(x.doubles, $0, bias.doubles) }
    // A row of one number is its own mean.
    if width > 1 { #expect(relativeError(gainGradient.doubles, gains) < 1e-4) }
    let biases = numerical(bias.doubles, dy.doubles) { norm(x.doubles, gain.doubles, $0) }
    #expect(relativeError(biasGradient.doubles, biases) < 1e-4)
  }

  @Test(arguments: Path.all, widths) func `GELU and its gradient are the naive ones`(path: Path, width: Int) {
    let rows = 5
    func gelu(_ x: Double) -> Double { x * (1 + erf(x / 2.0.squareRoot())) / 2 }
    let x = random(rows * width, scale: 6, stream: 7), bias = random(width, stream: 8)
    let dz = random(rows * width, stream: 9)
    let y = x.copy, z = Floats(count: rows * width), biasGradient = Floats(count: width)
    transformer(path).gelu(rows, width, bias.p, y.p, z.p)
    let sums = x.doubles.indices.map { x.doubles[$0] + bias.doubles[$0 % width] }
    for (i, sum) in sums.enumerated() {
      #expect(abs(Double(z.p[i]) - gelu(sum)) <= 4e-7 * max(abs(sum), 1))
      let slope = (gelu(sum + 1e-5) - gelu(sum - 1e-5)) / 2e-5
      #expect(abs(Double(y.p[i]) - slope) < 2e-6)
    }
    let dx = dz.copy
    transformer(path).gelu_gradient(rows, width, y.p, dx.p, biasGradient.p)
    for i in 0..<dx.count { #expect(dx.p[i] == dz.p[i] * y.p[i]) }
    let columns = (0..<width).map { column in
      stride(from: column, to: dx.count, by: width).reduce(0.0) { $0 + dx.doubles[$1] }
    }
    #expect(relativeError(biasGradient.doubles, columns) < 1e-5)
  }

  /// Attention of one example's first tokens over rows of (queries, keys, values).
  /// - Parameter links: (tokens, tokens).
  private func attention(
    _ qkv: [Double], _ tokens: Int, _ queries: Int, _ heads: Int, _ depth: Int, links: [Double]
  ) -> [Double] {
    let width = heads * depth
    var out = [Double](repeating: 0, count: queries * width)
    for h in 0..<heads {
      for t in 0..<queries {
        func at(_ token: Int, _ part: Int, _ i: Int) -> Double {
          qkv[token * 3 * width + part * width + h * depth + i]
        }
        let scores = (0..<tokens).map { other in
          (0..<depth).reduce(0.0) { $0 + at(t, 0, $1) * at(other, 1, $1) } / Double(depth).squareRoot()
        }
        let greatest = scores.reduce(-.infinity, max)
        let shares = scores.map { exp($0 - greatest) }
        let total = shares.reduce(0, +)
        for i in 0..<depth {
          out[t * width + h * depth + i] =
            (0..<tokens).reduce(0.0) { $0 + (shares[$1] / total + links[t * tokens + $1]) * at($1, 2, i) }
        }
      }
    }
    return out
  }

  @Test(arguments: Path.all, [(1, 1, 1, 1), (5, 4, 2, 3), (16, 16, 1, 16), (18, 7, 2, 20), (3, 3, 2, 128)])
  func `attention and its gradient are the naive ones`(
    path: Path, sizes: (tokens: Int, queries: Int, heads: Int, depth: Int)
  ) {
    let (tokens, queries, heads, depth) = sizes
    let (examples, width) = (2, heads * depth)
    let across = ck_padded(tokens)
    let input = random(examples * tokens * 3 * width, scale: 2, stream: 10)
    let bias = random(3 * width, stream: 11), dout = random(examples * queries * width, stream: 12)
    let rows = spread(input, width: 3 * width), outRows = Floats(count: examples * queries * ck_row(width))
    let gradientRows = Floats(Array(repeating: Float.nan, count: rows.count))
    let probabilities = Floats(count: examples * heads * tokens * across)
    let biasGradient = Floats(count: 3 * width)
    let scratch = Floats(count: ck_attention_scratch(tokens, depth))
    // Both with and without.
    let links = depth == 1 ? nil : Floats(count: examples * tokens * across)
    for i in 0..<(examples * tokens * tokens) where links != nil {
      links?.p[i / tokens * across + i % tokens] = input.p[i % input.count]
    }
    transformer(path).attention(
      examples, tokens, queries, heads, depth, bias.p, links?.p, rows.p, probabilities.p, outRows.p, scratch.p
    )
    transformer(path).attention_gradient(
      examples, tokens, queries, heads, depth, rows.p, probabilities.p, links?.p,
      spread(dout, width: width).p, gradientRows.p, biasGradient.p, scratch.p)
    let qkv = dense(rows, width: 3 * width), gradient = dense(gradientRows, width: 3 * width)
    let out = dense(outRows, width: width)
    let sums = input.doubles.indices.map { input.doubles[$0] + bias.doubles[$0 % (3 * width)] }
    #expect(relativeError(qkv.doubles, sums) < 1e-6)
    for e in 0..<examples {
      let (own, outputs) = (tokens * 3 * width, queries * width)
      let x = Array(sums[(e * own)..<((e + 1) * own)])
      let weights = (0..<(tokens * tokens)).map { i in
        Double(links?.p[(e * tokens + i / tokens) * across + i % tokens] ?? 0)
      }
      let expected = attention(x, tokens, queries, heads, depth, links: weights)
      #expect(relativeError(Array(out.doubles[(e * outputs)..<((e + 1) * outputs)]), expected) < 1e-5)
      let slopes = numerical(x, Array(dout.doubles[(e * outputs)..<((e + 1) * outputs)])) {
        attention($0, tokens, queries, heads, depth, links: weights)
      }
      let found = Array(gradient.doubles[(e * own)..<((e + 1) * own)])
      #expect(relativeError(found, slopes) < 1e-4)
    }
    let columns = (0..<(3 * width)).map { column in
      stride(from: column, to: gradient.count, by: 3 * width).reduce(0.0) { $0 + gradient.doubles[$1] }
    }
    #expect(zip(biasGradient.doubles, columns).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  /// Rows as the kernels have them.
  private func spread(_ x: Floats, width: Int) -> Floats {
    let rows = x.count / width, result = Floats(count: x.count / width * ck_row(width))
    for i in 0..<(rows * width) { result.p[i / width * ck_row(width) + i % width] = x.p[i] }
    return result
  }

  private func dense(_ x: Floats, width: Int) -> Floats {
    let result = Floats(count: x.count / ck_row(width) * width)
    for i in 0..<result.count { result.p[i] = x.p[i / width * ck_row(width) + i % width] }
    return result
  }

  @Test(arguments: Path.all) func `rows of a multiple of 256 floats are further apart`(path: Path) {
    let (rows, width) = (3, 256)
    #expect((ck_row(255), ck_row(256), ck_row(512), ck_row(520)) == (255, 272, 528, 520))
    let k = transformer(path)
    let x = random(rows * width, stream: 30), y = random(rows * width, stream: 31)
    let gain = random(width, stream: 32), bias = random(width, stream: 33),
      base = random(rows * width, stream: 34)
    /// What `body` makes of all rows, against what it makes of each of them alone.
    func expectSame(_ body: (Int, Int, [Floats], Floats, Floats) -> Void) {
      let all = Floats(count: rows * ck_row(width)), sums = Floats(count: width),
        ownSums = Floats(count: width)
      body(rows, 0, [x, y, base].map { spread($0, width: width) }, all, sums)
      let together = dense(all, width: width)
      for row in 0..<rows {
        let own = Floats(count: width)
        body(
          1, row, [x, y, base].map { Floats(Array($0.array[(row * width)..<((row + 1) * width)])) }, own,
          ownSums)
        #expect(own.array == Array(together.array[(row * width)..<((row + 1) * width)]))
      }
      #expect(sums.array == ownSums.array)
    }
    let statistics = Floats(count: 2 * rows)
    expectSame { rows, row, m, out, sums in
      k.norm(rows, width, m[0].p, gain.p, bias.p, nil, 1, nil, out.p, statistics.p + 2 * row)
    }
    let unused = Floats(count: width)
    expectSame { rows, row, m, out, sums in
      k.norm_gradient(
        rows, width, m[0].p, gain.p, statistics.p + 2 * row, m[1].p, m[2].p, out.p, sums.p, unused.p)
    }
    expectSame { rows, row, m, out, sums in k.gelu(rows, width, bias.p, m[0].p, out.p) }
    expectSame { rows, row, m, out, sums in
      k.gelu_gradient(rows, width, m[0].p, m[1].p, sums.p)
      out.p.update(from: m[1].p, count: out.count)
    }
    expectSame { rows, row, m, out, sums in k.residual(rows, width, m[0].p, m[1].p, bias.p, out.p) }
    expectSame { rows, row, m, out, sums in
      k.column_sums(rows, width, 1, nil, m[0].p, sums.p)
    }
  }

  @Test(arguments: Path.all, [1, 15, 16, 5000]) func `sums and products are the naive ones`(
    path: Path, count: Int
  ) {
    let x = random(count, stream: 13), y = random(count, stream: 14), out = Floats(count: count)
    let k = transformer(path)
    k.axpby(count, 2, x.p, -3, y.p, out.p)
    #expect(relativeError(out.doubles, zip(x.doubles, y.doubles).map { 2 * $0 - 3 * $1 }) < 1e-6)
    let squares = zip(x.doubles, y.doubles).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    #expect(abs(k.squared_error(count, 0.5, x.p, y.p, out.p) / squares - 1) < 1e-5)
    #expect(relativeError(out.doubles, zip(x.doubles, y.doubles).map { 0.5 * ($0 - $1) }) < 1e-6)
    #expect(abs(k.sum_of_squares(count, x.p) / x.doubles.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
  }

  @Test(arguments: Path.all, widths) func `operations on rows are the naive ones`(path: Path, width: Int) {
    let rows = 6
    let x = random(rows * width, stream: 15), y = random(rows * width, stream: 16),
      bias = random(width, stream: 17)
    let out = Floats(count: rows * width), columns = Floats(count: 2 * width)
    transformer(path).residual(rows, width, x.p, y.p, bias.p, out.p)
    for i in 0..<out.count { #expect(out.p[i] == x.p[i] + (y.p[i] + bias.p[i % width])) }
    transformer(path).column_sums(rows, width, 2, [1, 0], x.p, columns.p)
    let expected = (0..<(2 * width)).map { place in
      stride(from: (place + width) % (2 * width), to: x.count, by: 2 * width).reduce(0.0) {
        $0 + x.doubles[$1]
      }
    }
    #expect(zip(columns.doubles, expected).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  @Test(arguments: Path.all) func `AdamW's step is the naive one's`(path: Path) {
    let count = 21
    let w = random(count, stream: 18), m = random(count, stream: 19), g = random(count, stream: 20)
    let v = Floats(random(count, stream: 21).array.map(abs)), average = random(count, stream: 22)
    let (w0, m0, v0, a0) = (w.doubles, m.doubles, v.doubles, average.doubles)
    var settings = ck_adamw(
      learning_rate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, correction1: 0.3,
      correction2: 0.05, gradient_scale: 0.5, ema_decay: 0.9)
    transformer(path).adamw(&settings, count, g.p, w.p, m.p, v.p, average.p)
    for i in 0..<count {
      let slope = 0.5 * g.doubles[i]
      let moment1 = 0.9 * m0[i] + 0.1 * slope
      let moment2 = 0.99 * v0[i] + 0.01 * slope * slope
      let weight = w0[i] * (1 - 0.001) - 0.01 / 0.3 * moment1 / ((moment2 / 0.05).squareRoot() + 1e-8)
      #expect(abs(m.doubles[i] - moment1) < 1e-6 && abs(v.doubles[i] - moment2) < 1e-6)
      #expect(abs(w.doubles[i] - weight) < 1e-6)
      #expect(abs(average.doubles[i] - (0.9 * a0[i] + 0.1 * weight)) < 1e-6)
    }
  }

  @Test(arguments: Path.all) func `every path gives the same bits`(path: Path) {
    func results(_ path: Path) -> [[UInt32]] {
      let (rows, width) = (18, 40)
      let k = transformer(path)
      let x = random(rows * 3 * width, scale: 2, stream: 23), vector = random(3 * width, stream: 24)
      let y = Floats(count: rows * width), statistics = Floats(count: 2 * rows),
        z = Floats(count: rows * width)
      k.norm(rows, width, x.p, vector.p, vector.p, nil, 1, nil, y.p, statistics.p)
      k.gelu(rows, width, vector.p, y.p, z.p)
      let links = random(rows * 32, stream: 25)
      let probabilities = Floats(count: 2 * rows * 32), out = Floats(count: rows * width)
      let scratch = Floats(count: 12 * 32 * 32 + 64), gradient = Floats(count: rows * 3 * width)
      k.attention(
        1, rows, 11, 2, width / 2, vector.p, links.p, x.p, probabilities.p, out.p, scratch.p)
      k.attention_gradient(
        1, rows, 11, 2, width / 2, x.p, probabilities.p, links.p, z.p, gradient.p, vector.p, scratch.p)
      return [y, statistics, z, x, probabilities, out, gradient, vector].map(\.bits)
    }
    #expect(results(path) == results(Path.reference))
  }
}
