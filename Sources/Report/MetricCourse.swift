import Corpus
import Foundation
import MetricIndex

/// The values of a metric in a corpus, over the iterations of training.
struct MetricCourse {
  private let name: String
  private var iterations: [Double] = []
  private var values: [Float] = []
  private var runs: Set<Int64> = []

  private static let bins = 64
  private static let histogramBins = 48

  init(_ metric: Metric, _ index: IndexReader) throws(CorpusError) {
    name = metric.name
    let rows = try RowCursor(
      """
      SELECT run, iteration, \(metric.column) FROM checkpoints JOIN runs USING (run)
      WHERE runs.status = 'ok' AND \(Metric.isMeasured(metric.name))
      """, of: index)
    while try rows.next() {
      guard case .integer(let run) = rows.value(at: 0), case .integer(let iteration) = rows.value(at: 1),
        case .real(let value) = rows.value(at: 2)
      else { continue }
      runs.insert(run)
      iterations.append(Double(iteration))
      values.append(Float(value))
    }
  }

  /// Quantiles over bins of iterations, and the histogram; nil where nothing is measured.
  func curve() -> CorpusSection.Curve? {
    guard let end = iterations.max() else { return nil }
    let median = Self.quantiles(iterations, [0.5])[0]
    // Where most checkpoints are early, bins are even on the scale of log(1 + iteration).
    let isEarly = median < end / 4
    func place(_ iteration: Double) -> Double { isEarly ? log1p(iteration) : iteration }
    let width = place(end) / Double(Self.bins)
    var bins = [(sum: Double, values: [Float])](repeating: (0, []), count: Self.bins + 1)
    for (iteration, value) in zip(iterations, values) {
      // What comes before training has a bin of its own.
      let bin = iteration == 0 ? 0 : 1 + min(Self.bins - 1, Int(place(iteration) / width))
      bins[bin].sum += iteration
      bins[bin].values.append(value)
    }
    let filled = bins.filter { !$0.values.isEmpty }
    return CorpusSection.Curve(
      metric: name, runs: runs.count, iterations: filled.map { $0.sum / Double($0.values.count) },
      quantiles: filled.map { Self.quantiles($0.values, CorpusSection.Curve.parts) }, histogram: histogram())
  }

  /// Between the values that all but a thousandth at either end lie between: a run that goes astray leaves the others in sight.
  private func histogram() -> CorpusSection.Histogram {
    let ends = Self.quantiles(values, [0.001, 0.999])
    let (low, high) = (Double(ends[0]), max(Double(ends[1]), Double(ends[0]) + 1e-9))
    let edges = (0...Self.histogramBins).map {
      low + (high - low) * Double($0) / Double(Self.histogramBins)
    }
    return CorpusSection.Histogram(edges: edges, counts: Self.shares(values, edges))
  }

  /// The share of values in each bin; those beyond the ends count as in the outermost.
  static func shares(_ values: [Float], _ edges: [Double]) -> [Double] {
    let bins = edges.count - 1
    var counts = [Double](repeating: 0, count: bins)
    for value in values {
      let place = (Double(value) - edges[0]) / (edges[bins] - edges[0]) * Double(bins)
      counts[max(0, min(bins - 1, Int(place.rounded(.down))))] += 1
    }
    return counts.map { $0 / Double(max(1, values.count)) }
  }

  /// The values at parts of all, between two of them in proportion.
  private static func quantiles<Number: BinaryFloatingPoint>(_ values: [Number], _ parts: [Double])
    -> [Number]
  {
    let sorted = values.sorted()
    return parts.map { part in
      let place = part * Double(sorted.count - 1)
      let low = Int(place)
      return sorted[low] + Number(place - Double(low))
        * (sorted[min(low + 1, sorted.count - 1)] - sorted[low])
    }
  }
}
