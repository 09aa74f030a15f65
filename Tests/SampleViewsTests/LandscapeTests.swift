import Corpus
import Evaluation
import Foundation
import GenerativeModel
import Platform
import SampleViews
import Tasks
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct LandscapeTests {
  private func options(_ task: String, cells: [Int], zoom: Int) -> LandscapeOptions {
    var options = LandscapeOptions(task: task)
    (options.samples, options.cells, options.zoom, options.tile) = (12, cells, zoom, 5)
    (options.runs, options.checkpoints) = (3, 3)
    return options
  }

  /// A level's values (rows, columns), unpacked as its description says.
  private func values(_ level: Landscape.Level, _ landscape: Landscape) throws -> [[Float]] {
    var values = [[Float]](
      repeating: [Float](repeating: .nan, count: level.width), count: level.height)
    var tiles = level.tiles[...]
    for bottom in stride(from: 0, to: level.height, by: level.tile) {
      for left in stride(from: 0, to: level.width, by: level.tile) {
        let (width, height) = (min(level.tile, level.width - left), min(level.tile, level.height - bottom))
        let count = width * height
        let tile = tiles.popFirst()
        let bytes = try inflated(#require(tile), count: 2 * count)
        var numbers: [UInt16] = []
        for i in 0..<count {
          let before = i % width > 0 ? numbers[i - 1] : i > 0 ? numbers[i - width] : 0
          numbers.append(before &+ (UInt16(bytes[i]) | UInt16(bytes[count + i]) << 8))
          let range = landscape.range
          values[bottom + i / width][left + i % width] =
            numbers[i] == 65535 ? .nan : range[0] + Float(numbers[i]) / 65534 * (range[1] - range[0])
        }
      }
    }
    #expect(tiles.isEmpty)
    return values
  }

  /// The plane of a landscape's samples, made again.
  private func plane(_ fixture: ViewFixture, _ start: Start, prompt: Float) throws -> PrincipalPlane {
    let prompts = (0..<12).map { _ in
      Prompt(start: start.parameters, startMetric: start.metric, targetMetric: prompt)
    }
    let samples = try fixture.sampler().sample(prompts, options: fixture.sampling, workers: 2)
    return try PrincipalPlane(of: samples, other: samples[0], workers: 1, cancellation: Cancellation())
  }

  @Test(arguments: [([4, 9, 64], 1), ([3, 3, 6], 4)] as [([Int], Int)])
  func `cells have what the evaluator finds`(cells: [Int], zoom: Int) throws {
    let fixture = try ViewFixture.digits()
    let viewer = try fixture.viewer()
    let start = try viewer.starts(1)[0]
    let landscape = try viewer.landscape(from: start, prompt: 0.9, options("mnist", cells: cells, zoom: zoom))
    let plane = try plane(fixture, start, prompt: 0.9)
    let evaluator = try fixture.evaluator()
    let metric = try #require(evaluator.evaluatedMetrics.firstIndex(of: landscape.metric))
    #expect(landscape.levels.map(\.width) == cells && landscape.images == 100)
    #expect(landscape.levels[0].region == landscape.region)
    for level in landscape.levels {
      let values = try values(level, landscape)
      let (left, right, bottom, top) = (level.region[0], level.region[1], level.region[2], level.region[3])
      #expect(left >= landscape.region[0] - 1e-5 && top <= landscape.region[3] + 1e-5)
      for (row, column) in [(0, 0), (level.height - 1, 1), (level.height / 2, level.width - 1)] {
        let x = left + (Float(column) + 0.5) / Float(level.width) * (right - left)
        let y = bottom + (Float(row) + 0.5) / Float(level.height) * (top - bottom)
        let network = plane.mean.indices.map {
          plane.mean[$0] + x * plane.directions[0][$0] + y * plane.directions[1][$0]
        }
        let exact = evaluator.evaluate(network: network, seed: 0)[metric]
        let step = (landscape.range[1] - landscape.range[0]) / 65534
        #expect(abs(values[row][column] - exact) < step + 1e-4 * abs(exact))
      }
    }
    // The last level is as many times finer as its cells are smaller.
    let sides = landscape.levels.map { ($0.region[1] - $0.region[0]) / Float($0.width) }
    #expect(sides[0] / sides[2] > 15.9)
  }

  @Test func `points and runs are where the plane has them`() throws {
    let fixture = try ViewFixture.digits()
    let viewer = try fixture.viewer()
    let start = try viewer.starts(1)[0]
    let landscape = try viewer.landscape(from: start, prompt: 0.9, options("mnist", cells: [2], zoom: 1))
    let samples = landscape.points.filter { $0.kind == .sample }
    #expect(samples.count == 12 && landscape.points.count == 13)
    // Principal axes: no mean, no correlation, and the deviations that are told.
    #expect(abs(samples.reduce(0) { $0 + $1.x }) < 1e-3 && abs(samples.reduce(0) { $0 + $1.y }) < 1e-3)
    let products = [
      samples.reduce(0) { $0 + $1.x * $1.x }, samples.reduce(0) { $0 + $1.y * $1.y },
      samples.reduce(0) { $0 + $1.x * $1.y },
    ].map { $0 / 11 }
    for (axis, product) in zip(landscape.axes, products) {
      #expect(abs(product / (axis.standardDeviation * axis.standardDeviation) - 1) < 1e-3)
    }
    #expect(abs(products[2]) < 1e-3 * products[1])
    for point in samples {
      #expect(point.x > landscape.region[0] && point.x < landscape.region[1])
      #expect(point.y > landscape.region[2] && point.y < landscape.region[3])
    }
    // The start is a checkpoint of a run, and so the run begins where it is.
    #expect(landscape.runs.map(\.isOfStart) == [true, false, false])
    let own = landscape.runs[0]
    #expect(own.run == start.run && own.steps == [0, 1, 3] && own.metric[0] == start.metric)
    #expect(own.x[0] == landscape.points[0].x && own.y[0] == landscape.points[0].y)
    #expect(landscape.unitOrder == .canonical)
  }

  @Test func `workers do not matter`() throws {
    let fixture = try ViewFixture.cartpole()
    let start = try fixture.viewer().starts(1)[0]
    var made = try [1, 3].map {
      try fixture.viewer(workers: $0).landscape(
        from: start, prompt: 60, options("cartpole", cells: [3, 3, 4], zoom: 4))
    }
    for i in 0..<2 { made[i].seconds = 0 }
    #expect(try CanonicalJSON.data(made[0], pretty: false) == CanonicalJSON.data(made[1], pretty: false))
    #expect(made[0].images == nil && made[0].metric == .evalReturn)
  }

  @Test func `one sample has a landscape, too`() throws {
    let fixture = try ViewFixture.digits()
    let viewer = try fixture.viewer()
    var options = options("mnist", cells: [2, 32], zoom: 1)
    options.samples = 1
    let landscape = try viewer.landscape(from: viewer.starts(1)[0], prompt: 0.9, options)
    #expect(landscape.axes.allSatisfy { $0.standardDeviation == 0 })
    let json = try CanonicalJSON.data(landscape, pretty: false)
    #expect(try CanonicalJSON.decode(Landscape.self, from: json).points.count == 2)
  }

  @Test func `it ends where somebody wants it to`() throws {
    let fixture = try ViewFixture.digits()
    let viewer = try fixture.viewer()
    let start = try viewer.starts(1)[0]
    let cancellation = Cancellation()
    var told = 0
    #expect {
      _ = try viewer.landscape(
        from: start, options("mnist", cells: [64, 64], zoom: 1), cancellation: cancellation
      ) { done, total in
        told = done
        if done > total / 2 { cancellation.cancel() }
      }
    } throws: { ($0 as? CorpusError)?.code == .interrupted }
    #expect(told > 4096 && told < 8204)
    #expect {
      _ = try viewer.landscape(from: start, options("mnist", cells: [0], zoom: 1))
    } throws: { ($0 as? CorpusError)?.code == .invalidArgument }
  }

  @Test func `what is no number is none in a tile`() throws {
    let tile = try PackedNumbers.tile([1, .nan, .infinity, 3, 2, 1], width: 3, range: [1, 3])
    let bytes = try inflated(tile, count: 12)
    let differences = (0..<6).map { UInt16(bytes[$0]) | UInt16(bytes[6 + $0]) << 8 }
    #expect(differences == [0, 65535, 0, 65534, 32767 &- 65534, 0 &- 32767])
  }
}
