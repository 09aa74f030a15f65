public import Corpus

/// Whether samples are nearer to what was learned from than held-out ones are: the data-copying test of Meehan, Chaudhuri
/// and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models" (AISTATS 2020).
public struct CopyingScore: Codable, Sendable {
  /// A region of the networks.
  public struct Cell: Codable, Sendable {
    /// From and to which value of the metric of the nearest checkpoint.
    @Nullable public var range: [Float]
    public var samples: Int
    public var heldOut: Int
    /// Of the Mann-Whitney statistic.
    @Nullable public var z: Double

    enum CodingKeys: String, CodingKey {
      case range, samples, z
      case heldOut = "held_out"
    }
  }

  /// Over all: below -3, samples are nearer than held-out networks; above 3, farther.
  @Nullable public var z: Double
  public var cells: [Cell]
  /// The mean of the cells' z, weighted by their held-out networks: the paper's C_T.
  @Nullable public var score: Double

  /// Networks of each kind that a cell needs.
  static let least = 4

  enum CodingKeys: String, CodingKey {
    case z, cells, score
  }

  /// One network's distance to its nearest checkpoint, and what metric that has.
  struct Nearest {
    let distance: Double
    let metric: Float
  }

  /// - Parameter count: cells, by quantiles of the held-out networks' nearest metrics.
  init(samples: [Nearest], heldOut: [Nearest], cells count: Int = 4) {
    z = Self.z(samples.map(\.distance), heldOut.map(\.distance))
    let metrics = heldOut.map(\.metric).filter(\.isFinite).sorted()
    let bounds = metrics.isEmpty ? [] : (1..<count).map { metrics[$0 * metrics.count / count] }
    let ends = [-.infinity] + bounds + [Float.infinity]
    cells = zip(ends, ends.dropFirst()).compactMap { low, high in
      func within(_ all: [Nearest]) -> [Double] {
        all.filter { $0.metric >= low && $0.metric < high }.map(\.distance)
      }
      let (own, others) = (within(samples), within(heldOut))
      guard own.count >= Self.least, others.count >= Self.least else { return nil }
      return Cell(range: [low, high], samples: own.count, heldOut: others.count, z: Self.z(own, others))
    }
    let weight = cells.reduce(0) { $0 + $1.heldOut }
    score = weight == 0 ? .nan : cells.reduce(0) { $0 + $1.z * Double($1.heldOut) } / Double(weight)
  }

  /// (U - m n / 2) / sqrt(m n (m + n + 1) / 12), U the pairs of a sample and a held-out network in which the sample is
  /// farther, ties counting half.
  package static func z(_ samples: [Double], _ heldOut: [Double]) -> Double {
    let (m, n) = (Double(samples.count), Double(heldOut.count))
    guard m > 0, n > 0 else { return .nan }
    let sorted = heldOut.sorted()
    func below(_ value: Double, orEqual: Bool) -> Double {
      var (low, high) = (0, sorted.count)
      while low < high {
        let middle = (low + high) / 2
        if sorted[middle] < value || orEqual && sorted[middle] == value {
          low = middle + 1
        } else {
          high = middle
        }
      }
      return Double(low)
    }
    let u = samples.reduce(0) { $0 + (below($1, orEqual: false) + below($1, orEqual: true)) / 2 }
    return (u - m * n / 2) / (m * n * (m + n + 1) / 12).squareRoot()
  }
}
