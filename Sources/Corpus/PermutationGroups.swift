/// Which axes of which tensors of an architecture move together, the function of every network staying the same.
///
/// A group is a set of units that are alike: hidden units, channels, attention heads. An axis of a tensor is cut into
/// segments, mostly one; the length of a segment is the product of its factors, row-major, and each factor is fixed or
/// moved by a group. So `[["fc1"], [784]]` is the weight of a layer whose units may be put into any order, and
/// `[[10], ["conv2", 16]]` that of a layer behind it, which sees 16 pixels of each of its channels. All that a group moves
/// takes the same order at once. (Git Re-Basin, arXiv 2209.04836, calls this a permutation specification.)
public struct PermutationGroups: Hashable, Sendable {
  /// Units that may be put into any order.
  public struct Group: Hashable, Sendable, Codable {
    public let name: String
    /// How many there are.
    public let units: Int

    public init(_ name: String, _ units: Int) {
      self.name = name
      self.units = units
    }
  }

  /// Part of the length of an axis.
  public enum Factor: Hashable, Sendable {
    case fixed(Int)
    /// Moved by the group of this name.
    case moved(String)
  }

  /// What moves in an axis: its segments follow each other, and the length of each is the product of its factors.
  public struct Axis: Hashable, Sendable {
    public let segments: [[Factor]]

    public init(segments: [[Factor]]) { self.segments = segments }
  }

  /// In the order in which they are drawn, and put in canonical order.
  public let groups: [Group]
  /// The axes of each tensor in which something moves, by its name.
  public let tensors: [String: [Axis]]

  public init(groups: [Group], tensors: [String: [Axis]]) {
    self.groups = groups
    self.tensors = tensors
  }

  /// No symmetry at all, which is something else than not to know.
  public static let none = PermutationGroups(groups: [], tensors: [:])

  /// Whether nothing moves.
  public var isEmpty: Bool { groups.isEmpty }

  /// Refuses groups that contradict the shapes of an architecture.
  ///
  /// - Throws: `invalidArgument`, naming the tensor, the axis and the sizes.
  public func validate(_ architecture: [Architecture.Tensor]) throws(CorpusError) {
    var units: [String: Int] = [:]
    for group in groups {
      guard !group.name.isEmpty, units[group.name] == nil else {
        throw Self.refusal("two permutation groups are called \"\(group.name)\", or one has no name")
      }
      guard group.units >= 1 else {
        throw Self.refusal("the permutation group \(group.name) has \(group.units) units")
      }
      units[group.name] = group.units
    }
    var shapes: [String: [Int]] = [:]
    for tensor in architecture { shapes[tensor.name] = tensor.shape }
    var moved: Set<String> = []
    for (name, axes) in tensors.sorted(by: { $0.key < $1.key }) {
      guard let shape = shapes[name] else {
        throw Self.refusal("the permutation groups name the tensor \(name), which the architecture has not")
      }
      guard axes.count == shape.count else {
        throw Self.refusal(
          "the permutation groups say of \(axes.count) axes of \(name), whose shape is \(shape)")
      }
      for (index, (axis, length)) in zip(axes, shape).enumerated() {
        try Self.validate(axis, length, units, "axis \(index) of \(name)")
        for case .moved(let group) in axis.segments.joined() { moved.insert(group) }
      }
    }
    if let idle = groups.first(where: { !moved.contains($0.name) }) {
      throw Self.refusal("the permutation group \(idle.name) moves nothing in any tensor")
    }
  }

  private static func validate(
    _ axis: Axis, _ length: Int, _ units: [String: Int], _ location: String
  ) throws(CorpusError) {
    var total = 0
    for segment in axis.segments {
      var size = 1
      for factor in segment {
        let count: Int
        switch factor {
        case .fixed(let fixed): count = fixed
        case .moved(let name):
          guard let known = units[name] else {
            throw refusal("\(location) is moved by \(name), which is no permutation group")
          }
          count = known
        }
        let (product, overflows) = size.multipliedReportingOverflow(by: count)
        guard count >= 1, !overflows, product <= length else {
          throw refusal(
            "\(location) has the length \(length), and \(described(axis, units)) does not fit into it")
        }
        size = product
      }
      total += size
      guard !segment.isEmpty, total <= length else { break }
    }
    guard total == length else {
      throw refusal(
        "\(location) has the length \(length), and \(described(axis, units)) makes it \(total)")
    }
  }

  /// An axis with the sizes of its groups.
  private static func described(_ axis: Axis, _ units: [String: Int]) -> String {
    var sizes: [String: Int] = [:]
    for case .moved(let name) in axis.segments.joined() { sizes[name] = units[name] }
    let list = sizes.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value) units" }
    return "\(axis)" + (list.isEmpty ? "" : ", where \(list.joined(separator: " and ")),")
  }

  private static func refusal(_ message: String) -> CorpusError {
    CorpusError(
      .invalidArgument, message,
      remedy: "declare groups whose factors multiply to the length of each axis, as Schemas/corpus.md says")
  }
}

extension PermutationGroups.Factor: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  public init(integerLiteral value: Int) { self = .fixed(value) }
  public init(stringLiteral value: String) { self = .moved(value) }
}

extension PermutationGroups.Axis: ExpressibleByArrayLiteral {
  /// An axis of one segment.
  public init(arrayLiteral factors: PermutationGroups.Factor...) { segments = [factors] }
}

extension PermutationGroups.Axis: CustomStringConvertible {
  /// As JSON has it.
  public var description: String { (try? CanonicalJSON.string(self)) ?? "?" }
}

extension PermutationGroups.Factor: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let size = try? container.decode(Int.self) {
      self = .fixed(size)
    } else {
      self = .moved(try container.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .fixed(let size): try container.encode(size)
    case .moved(let name): try container.encode(name)
    }
  }
}

extension PermutationGroups.Axis: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let factors = try? container.decode([PermutationGroups.Factor].self) {
      segments = [factors]
    } else {
      segments = try container.decode([[PermutationGroups.Factor]].self)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if segments.count == 1 {
      try container.encode(segments[0])
    } else {
      try container.encode(segments)
    }
  }
}

extension PermutationGroups: Codable {}
