/// Numbers, or arrays of them, some of which may be none: JSON has no NaN and no infinity, and gets null instead.
public protocol NullableNumbers: Sendable, Hashable {
  associatedtype JSON: Codable
  var json: JSON { get }
  init(json: JSON)
}

extension Float: NullableNumbers {
  public var json: Float? { isFinite ? self : nil }
  public init(json: Float?) { self = json ?? .nan }
}

extension Double: NullableNumbers {
  public var json: Double? { isFinite ? self : nil }
  public init(json: Double?) { self = json ?? .nan }
}

extension Array: NullableNumbers where Element: NullableNumbers {
  public var json: [Element.JSON] { map(\.json) }
  public init(json: [Element.JSON]) { self = json.map(Element.init) }
}

/// A stored property of ``NullableNumbers``, in JSON.
@propertyWrapper
public struct Nullable<Numbers: NullableNumbers>: Codable, Sendable, Hashable {
  public var wrappedValue: Numbers

  public init(wrappedValue: Numbers) { self.wrappedValue = wrappedValue }

  public init(from decoder: any Decoder) throws {
    wrappedValue = Numbers(json: try Numbers.JSON(from: decoder))
  }

  public func encode(to encoder: any Encoder) throws { try wrappedValue.json.encode(to: encoder) }
}
