public import Corpus
public import Evaluation
import GenerativeModel
public import Platform
import Synchronization
package import Tasks

extension SampleViewer {
  /// The landscape around samples.
  ///
  /// - Parameters:
  ///   - start: what all samples start from, such as the first of ``starts(_:)``.
  ///   - prompt: what they are prompted for; nil for the model's best prompt.
  ///   - progress: called with the networks drawn and measured so far, and with how many there will be.
  /// - Throws: `invalidArgument` for options that cannot be; `interrupted`.
  public func landscape(
    from start: Start, prompt: Float? = nil, _ options: LandscapeOptions,
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Landscape {
    guard options.samples > 0, options.zoom > 0, options.tile > 0, options.cells.allSatisfy({ $0 > 0 }) else {
      throw CorpusError(
        .invalidArgument, "a landscape has samples, and tiles and levels of cells",
        remedy: "ask for 1 or more of each")
    }
    let prompt = prompt ?? model.description.bestPrompt
    let total = options.samples + options.points
    let samples = try sample(
      Array(repeating: (start, prompt), count: options.samples), noise: nil, cancellation
    ) { progress($0, total) }
    let metrics = try measurer.measure(samples, cancellation: cancellation)
    let ownStart = try ordered([start.parameters])[0]
    let plane = try PrincipalPlane(
      of: samples, other: ownStart, workers: workers, cancellation: cancellation)
    var points = [point(.start, ownStart, start.metric, on: plane)]
    points += zip(samples, metrics).map { point(.sample, $0, $1, on: plane) }
    let runs = try trajectories(start, options, on: plane)

    let began = ContinuousClock.now
    let survey = PlaneSurvey(
      measurer.evaluator.evaluator(
        of: ParameterPlane(
          origin: plane.mean, first: plane.directions[0], second: plane.directions[1]),
        metric: measurer.metricIndex, images: options.images),
      workers: workers)
    let whole = Region(around: points, runs.filter(\.isOfStart))
    var (levels, done) = ([(region: Region, cells: Int, values: [[Float]])](), options.samples)
    for (index, cells) in options.cells.enumerated() {
      let region = whole.zoomed(options.zoom, times: index, to: points)
      let values = try survey.values(region, cells: cells, cancellation) { progress(done + $0, total) }
      levels.append((region, cells, values))
      done += cells * cells
    }
    let seconds = began.duration(to: .now) / .seconds(1)

    let finite = levels.flatMap { $0.values.flatMap { $0.filter(\.isFinite) } }
    let range = [finite.min() ?? 0, finite.max() ?? 0]
    return Landscape(
      metric: measurer.metric, prompt: prompt,
      axes: zip(plane.deviations, plane.explained).map {
        Landscape.Axis(standardDeviation: Float($0), explained: Float($1))
      },
      unitOrder: isCanonical ? .canonical : .start, region: whole.bounds, range: range,
      legend: legend(range, levels.first?.values ?? []),
      levels: try levels.map { (level) throws(CorpusError) in
        Landscape.Level(
          region: level.region.bounds, width: level.cells, height: level.cells, tile: options.tile,
          tiles: try Self.tiles(level.values, tile: options.tile, range: range))
      }, points: points, runs: runs, images: survey.evaluator.images, seconds: seconds)
  }

  private func point(
    _ kind: Landscape.Point.Kind, _ network: [Float], _ metric: Float, on plane: PrincipalPlane
  ) -> Landscape.Point {
    let (x, y, distance) = plane.project(network)
    return Landscape.Point(kind: kind, x: x, y: y, distance: distance, metric: metric)
  }

  /// The run of the start, and some that the model was trained on.
  private func trajectories(
    _ start: Start, _ options: LandscapeOptions, on plane: PrincipalPlane
  ) throws(CorpusError) -> [Landscape.Trajectory] {
    guard let reader, options.runs > 0 else { return [] }
    let own = start.run.map { [$0] } ?? []
    let others = try reader.initialStarts(options.runs - own.count, split: "train").compactMap(\.run)
    return try (own + others.filter { !own.contains($0) }).map { (run) throws(CorpusError) in
      let checkpoints = try reader.checkpoints(of: run, count: options.checkpoints)
      let projected = try ordered(checkpoints.map(\.parameters)).map { plane.project($0) }
      return Landscape.Trajectory(
        run: run, isOfStart: run == start.run, steps: checkpoints.compactMap(\.step),
        x: projected.map(\.x), y: projected.map(\.y), distance: projected.map(\.distance),
        metric: checkpoints.map(\.metric))
    }
  }

  /// From the best value to what nine tenths of the first level are better than.
  private func legend(_ range: [Float], _ values: [[Float]]) -> [Float] {
    let isMaximized = measurer.metric.goal == .maximize
    let sorted = values.flatMap { $0.filter(\.isFinite) }.sorted { isMaximized ? $0 > $1 : $0 < $1 }
    let best = isMaximized ? range[1] : range[0]
    return [best, sorted.isEmpty ? best : sorted[sorted.count * 9 / 10]]
  }

  /// - Parameter values: (rows, columns).
  private static func tiles(
    _ values: [[Float]], tile: Int, range: [Float]
  ) throws(CorpusError) -> [String] {
    var tiles: [String] = []
    let width = values[0].count
    for bottom in stride(from: 0, to: values.count, by: tile) {
      for left in stride(from: 0, to: width, by: tile) {
        let columns = left..<min(left + tile, width)
        let rows = values[bottom..<min(bottom + tile, values.count)]
        tiles.append(
          try PackedNumbers.tile(rows.flatMap { $0[columns] }, width: columns.count, range: range))
      }
    }
    return tiles
  }
}

/// A square of the plane.
struct Region: Sendable {
  var x: Float
  var y: Float
  var side: Float

  /// Lowest and highest x, lowest and highest y.
  var bounds: [Float] { [x - side / 2, x + side / 2, y - side / 2, y + side / 2] }

  /// All samples, with a margin; and what of the start and its run is not so far away that they would become a speck.
  init(around points: [Landscape.Point], _ runs: [Landscape.Trajectory]) {
    let samples = points.filter { $0.kind == .sample }
    let (x, y) = (Self.middle(samples.map(\.x)), Self.middle(samples.map(\.y)))
    func distance(_ otherX: Float, _ otherY: Float) -> Float { max(abs(otherX - x), abs(otherY - y)) }
    let extent = samples.map { distance($0.x, $0.y) }.max() ?? 0
    let all =
      points.map { distance($0.x, $0.y) } + runs.flatMap { run in zip(run.x, run.y).map { distance($0, $1) } }
    // A single sample has no extent, but a start.
    let reach = all.filter { extent == 0 || $0 <= 3 * extent }.max() ?? 0
    self.init(x: x, y: y, side: 2.5 * (reach > 0 ? reach : 1))
  }

  private init(x: Float, y: Float, side: Float) { (self.x, self.y, self.side) = (x, y, side) }

  private static func middle(_ values: [Float]) -> Float {
    ((values.min() ?? 0) + (values.max() ?? 0)) / 2
  }

  /// A part of it around the sample that is nearest to all others, inside of it.
  func zoomed(_ zoom: Int, times: Int, to points: [Landscape.Point]) -> Region {
    let samples = points.filter { $0.kind == .sample }
    let side = (0..<times).reduce(side) { length, _ in length / Float(zoom) }
    let sums = samples.map { sample in
      samples.reduce(0.0) { sum, other in
        let (dx, dy) = (Double(other.x - sample.x), Double(other.y - sample.y))
        return sum + (dx * dx + dy * dy).squareRoot()
      }
    }
    guard side < self.side, let least = sums.indices.min(by: { sums[$0] < sums[$1] }) else { return self }
    let room = (self.side - side) / 2
    return Region(
      x: min(max(samples[least].x, x - room), x + room), y: min(max(samples[least].y, y - room), y + room),
      side: side)
  }
}

/// Measures grids of networks of a plane.
package struct PlaneSurvey: Sendable {
  package let evaluator: any PlaneEvaluator
  private let workers: Int
  /// Cells of a row that a worker takes at once.
  private static let piece = 64

  package init(_ evaluator: any PlaneEvaluator, workers: Int) {
    (self.evaluator, self.workers) = (evaluator, workers)
  }

  /// The middles of cells.
  package static func middles(from low: Float, to high: Float, count: Int) -> [Float] {
    (0..<count).map { low + (Float($0) + 0.5) * (high - low) / Float(count) }
  }

  /// The values (rows, columns) of a square region's cells.
  func values(
    _ region: Region, cells: Int, _ cancellation: Cancellation, progress: (Int) -> Void
  ) throws(CorpusError) -> [[Float]] {
    let bounds = region.bounds
    return try values(
      x: Self.middles(from: bounds[0], to: bounds[1], count: cells),
      y: Self.middles(from: bounds[2], to: bounds[3], count: cells), cancellation: cancellation,
      progress: progress)
  }

  /// The values (y, x), with one kind of NaN.
  ///
  /// - Parameter progress: called with the number of networks measured.
  package func values(
    x: [Float], y: [Float], cancellation: Cancellation, progress: (Int) -> Void
  ) throws(CorpusError) -> [[Float]] {
    let pieces = y.indices.flatMap { row in
      stride(from: 0, to: x.count, by: Self.piece).map { (row, $0..<min($0 + Self.piece, x.count)) }
    }
    let results = Mutex([[Float]](repeating: [Float](repeating: .nan, count: x.count), count: y.count))
    var done = 0
    // Some at a time, so that progress is told by this thread.
    for first in stride(from: 0, to: pieces.count, by: 8 * workers) {
      let some = Array(pieces[first..<min(first + 8 * workers, pieces.count)])
      try parallelForEach(some, workers: workers) { (row, columns) throws(CorpusError) in
        try cancellation.check()
        let values = evaluator.values(x: Array(x[columns]), y: y[row])
        results.withLock { results in
          for (column, value) in zip(columns, values) { results[row][column] = value.isNaN ? .nan : value }
        }
      }
      done += some.reduce(0) { $0 + $1.1.count }
      progress(done)
    }
    return results.withLock { $0 }
  }
}
