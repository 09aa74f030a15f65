import Foundation

/// A JSON document as a value: what a recipe is to those who store it without knowing its task.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// All values that are no objects, by the names that lead to them: `physics.gravity`.
  public var leaves: [String: JSONValue] {
    guard case .object(let members) = self else { return ["": self] }
    var leaves: [String: JSONValue] = [:]
    for (name, value) in members {
      for (inner, leaf) in value.leaves { leaves[inner.isEmpty ? name : "\(name).\(inner)"] = leaf }
    }
    return leaves
  }

  /// The member of this name, where this is an object that has one.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[name]
  }
}

extension JSONValue: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      try Self.requireExact(value, as: container)
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if var elements = try? decoder.unkeyedContainer() {
      var values: [JSONValue] = []
      while !elements.isAtEnd { values.append(try elements.decode(JSONValue.self)) }
      self = .array(values)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  /// Refuses an integer that no double is: it would be rounded to another one, and two recipes count as one.
  private static func requireExact(
    _ value: Double, as container: any SingleValueDecodingContainer
  ) throws(CorpusError) {
    guard value.magnitude >= 0x1p53 else { return }
    let whole = try? container.decode(Int64.self)
    // Beyond 64 bits, and where a double is written with its shortest digits, its value in decimals tells.
    guard whole.map({ Int64(exactly: value) != $0 }) ?? true,
      let number = try? container.decode(Decimal.self), number != Decimal(string: "\(value)"),
      (try? container.decode(UInt64.self)).map({ UInt64(exactly: value) != $0 }) ?? true
    else { return }
    throw CorpusError(
      .invalidRecipe, "the number \(number) cannot be kept exactly",
      remedy: "write it as a text, or choose one of at most 2^53")
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value):
      // Integers are written as such: 500, not 500.0.
      if let integer = Int64(exactly: value) {
        try container.encode(integer)
      } else {
        try container.encode(value)
      }
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }
}

extension JSONValue: CustomStringConvertible {
  /// The value as JSON on one line, the members of objects in order of their names.
  public var description: String { (try? CanonicalJSON.string(self)) ?? "null" }
}
