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

  public init(name: String, tensors: [Tensor]) {
    self.name = name
    self.tensors = tensors
  }

  /// The longest parameter vector that can be stored: half a gigabyte.
  public static let parameterLimit = 1 << 27

  /// The length P of a parameter vector.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

  /// Reads an architecture and refuses shapes that no parameter vector can have.
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
