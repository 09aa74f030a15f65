/// The named tensors of a parameter vector, in the order in which they are stored.
///
/// Every tensor is float32 and row-major; a parameter vector is their concatenation without gaps.
public struct Architecture: Hashable, Sendable, Codable {
  /// One tensor of the network.
  public struct Tensor: Hashable, Sendable, Codable {
    /// PyTorch's name for it in a state dictionary, such as `actor.0.weight`.
    public let name: String
    public let shape: [Int]

    public init(_ name: String, _ shape: [Int]) {
      self.name = name
      self.shape = shape
    }

    /// The number of its elements.
    public var count: Int { shape.reduce(1, *) }
  }

  public let name: String
  public let tensors: [Tensor]
  /// Which axes move together; nil where nobody has said it. Architectures that differ in this alone are equal: what a
  /// parameter vector means does not depend on it.
  public let permutations: PermutationGroups?

  /// - Parameter permutations: nil for those of the built-in network that it is by its names and shapes, if any.
  public init(name: String, tensors: [Tensor], permutations: PermutationGroups? = nil) {
    self.name = name
    self.tensors = tensors
    self.permutations = permutations ?? Self.knownPermutations(name, tensors)
  }

  /// The same tensors with other permutation groups.
  public func declaring(_ permutations: PermutationGroups) -> Architecture {
    Architecture(name: name, tensors: tensors, permutations: permutations)
  }

  /// The same, but for permutation groups that nobody has declared: there are none.
  package var decided: Architecture { declaring(permutations ?? .none) }

  public static func == (a: Architecture, b: Architecture) -> Bool {
    a.name == b.name && a.tensors == b.tensors
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(tensors)
  }

  /// Name and tensors as JSON: what two corpora have to agree in, whatever either says of permutations.
  package func text() throws(CorpusError) -> String {
    struct Tensors: Encodable {
      let name: String
      let tensors: [Tensor]
    }
    return try CanonicalJSON.string(Tensors(name: name, tensors: tensors))
  }

  /// The longest parameter vector that can be stored: half a gigabyte.
  public static let parameterLimit = 1 << 27

  /// The length P of a parameter vector.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

  enum CodingKeys: String, CodingKey { case name, tensors, permutations }

  /// Reads an architecture and refuses shapes that no parameter vector can have, and, as a ``CorpusError``, permutation
  /// groups that contradict them. Where it says nothing of groups, built-in networks have theirs.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    name = try container.decode(String.self, forKey: .name)
    tensors = try container.decode([Tensor].self, forKey: .tensors)
    var count = 0
    for tensor in tensors {
      var size = 1
      for length in tensor.shape {
        let (product, overflows) = size.multipliedReportingOverflow(by: length)
        guard length > 0, !overflows, product <= Self.parameterLimit else {
          throw DecodingError.dataCorruptedError(
            forKey: .tensors, in: container, debugDescription: "impossible shape of \(tensor.name)")
        }
        size = product
      }
      count += size
      guard count <= Self.parameterLimit else {
        throw DecodingError.dataCorruptedError(
          forKey: .tensors, in: container, debugDescription: "more than 2^27 parameters")
      }
    }
    guard count > 0 else {
      throw DecodingError.dataCorruptedError(
        forKey: .tensors, in: container, debugDescription: "no parameters")
    }
    let declared = try container.decodeIfPresent(PermutationGroups.self, forKey: .permutations)
    try declared?.validate(tensors)
    permutations = declared ?? Self.knownPermutations(name, tensors)
  }

  /// The elements of a parameter vector that hold the tensor of this name, or nil where there is none.
  public func range(of name: String) -> Range<Int>? {
    var start = 0
    for tensor in tensors {
      if tensor.name == name { return start..<(start + tensor.count) }
      start += tensor.count
    }
    return nil
  }
}
