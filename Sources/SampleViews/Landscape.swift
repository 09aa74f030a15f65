public import Corpus

/// The error, loss or return of all networks of a plane: the one of the two leading principal directions of samples that
/// were drawn from one start for one prompt. Schemas/sample-views.md describes it in JSON.
///
/// The network at (x, y) is the samples' mean + x · first direction + y · second direction; both have length 1, so x and y
/// are distances in parameter space.
public struct Landscape: Codable, Sendable {
  /// The metric whose values there are.
  public var metric: Metric
  /// What the samples were prompted for.
  @Nullable public var prompt: Float
  /// The first and the second principal direction.
  public var axes: [Axis]
  /// Which order the hidden units of all networks on the plane are in.
  public var unitOrder: UnitOrder
  /// All that the first level shows: lowest and highest x, lowest and highest y.
  public var region: [Float]
  /// The lowest and the highest value of all levels, to which their 16-bit numbers refer.
  public var range: [Float]
  /// Where a legend may begin and end: the best value, and what nine tenths of the first level are better than.
  public var legend: [Float]
  /// From the coarsest to the finest.
  public var levels: [Level]
  /// The start and the samples.
  public var points: [Point]
  /// Training runs, as far as they were projected.
  public var runs: [Trajectory]
  /// The test images by which every value was measured; nil for tasks without.
  public var images: Int?
  /// How long the values of the plane took.
  public var seconds: Double

  /// A principal direction.
  public struct Axis: Codable, Sendable, Hashable {
    /// Of the samples along it.
    public var standardDeviation: Float
    /// The share of the samples' whole variance that it has.
    public var explained: Float

    enum CodingKeys: String, CodingKey {
      case explained
      case standardDeviation = "standard_deviation"
    }
  }

  /// Which order hidden units are in. The axes are meaningful only if all networks have them in one.
  public enum UnitOrder: String, Codable, Sendable {
    /// As the start has them: samples keep to it, as targets do in training.
    case start = "as in the start"
    /// The canonical order of each start, for models that were trained so: the start and the samples in that of the start,
    /// each run in that of its first checkpoint, as in training.
    case canonical
  }

  /// Values on a grid, each at the middle of its cell. All are evaluated; none is interpolated.
  public struct Level: Codable, Sendable {
    /// Lowest and highest x, lowest and highest y.
    public var region: [Float]
    /// The cells along x and along y.
    public var width: Int
    public var height: Int
    /// The cells along the sides of a tile; the last tiles of rows and columns have what is left.
    public var tile: Int
    /// Row by row from the lowest y, each of them from the lowest x: what ``PackedNumbers`` says.
    public var tiles: [String]
  }

  /// A network, projected onto the plane.
  public struct Point: Codable, Sendable {
    public enum Kind: String, Codable, Sendable { case start, sample }
    public var kind: Kind
    public var x: Float
    public var y: Float
    /// How far from the plane the network itself is.
    public var distance: Float
    /// Of the network itself, not of its projection.
    @Nullable public var metric: Float
  }

  /// Checkpoints of a training run, projected onto the plane, in the order of time.
  public struct Trajectory: Codable, Sendable {
    public var run: Int64
    /// Whether the samples start from this run's first checkpoint.
    public var isOfStart: Bool
    public var steps: [Int]
    public var x: [Float]
    public var y: [Float]
    /// How far from the plane the checkpoints themselves are.
    public var distance: [Float]
    /// Of the checkpoints themselves, as the corpus has it.
    @Nullable public var metric: [Float]

    enum CodingKeys: String, CodingKey {
      case run, steps, x, y, distance, metric
      case isOfStart = "is_of_start"
    }
  }

  enum CodingKeys: String, CodingKey {
    case metric, prompt, axes, region, range, legend, levels, points, runs, images, seconds
    case unitOrder = "unit_order"
  }
}
