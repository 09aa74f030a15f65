/// Why a text is not the JSON that it should be, in a sentence that knows nothing of Swift's decoders and types.
public struct JSONProblem: Error, CustomStringConvertible {
  /// Such as "`model.width` is missing".
  public let description: String
  /// Where a value is of the right type and cannot be: what it was refused with, and has a remedy.
  public let refusal: CorpusError?
  /// Whether a value is of the right type and cannot be, or a number of it; Foundation then refuses the text as a whole.
  let isOfValue: Bool
  let isOfText: Bool

  init(_ description: String) {
    self.description = description
    (refusal, isOfValue, isOfText) = (nil, false, false)
  }

  /// - Parameter error: what a decoder, or an encoder, has thrown.
  init(_ error: any Error) {
    refusal = error as? CorpusError
    if case DecodingError.dataCorrupted(let context) = error {
      (isOfValue, isOfText) = (true, Self.isOfText(context))
    } else {
      (isOfValue, isOfText) = (false, false)
    }
    switch error {
    case let refusal as CorpusError: description = refusal.message
    case let error as DecodingError: description = Self.sentence(of: error)
    case EncodingError.invalidValue(let value, let context):
      description = "\(Self.name(context.codingPath)) is \(value), which JSON has no number for"
    default: description = "it cannot be understood"
    }
  }

  private static func sentence(of error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      "\(name(context.codingPath)) should be \(kind(type))"
    case .dataCorrupted(let context): sentence(context)
    @unknown default: "it cannot be understood"
    }
  }

  private static func isOfText(_ context: DecodingError.Context) -> Bool {
    context.debugDescription.contains("valid JSON")
  }

  private static func sentence(_ context: DecodingError.Context) -> String {
    if isOfText(context) { return "it is no JSON" }
    let text = context.debugDescription
    // Of an enumeration: "Cannot initialize Codec from invalid String value zip".
    if let match = text.wholeMatch(of: /Cannot initialize .* from invalid .* value (.*)/) {
      return "\(name(context.codingPath)) cannot be \(match.1)"
    }
    // "Parsed JSON number <300> does not fit in Int8", "Number 1.5 is not representable in Swift."
    if let match = text.firstMatch(of: /[Nn]umber <?([-+.0-9eE]+)>?/) {
      return "\(name(context.codingPath)) cannot be \(match.1)"
    }
    return "\(name(context.codingPath)) is impossible: \(text)"
  }

  /// Where something lies, as one writes it: `tensors[0].shape`.
  private static func name(_ path: [any CodingKey]) -> String {
    var name = ""
    for key in path {
      if let index = key.intValue {
        name += "[\(index)]"
      } else {
        name += (name.isEmpty ? "" : ".") + key.stringValue
      }
    }
    return name.isEmpty ? "it" : "`\(name)`"
  }

  private static func kind(_ type: any Any.Type) -> String {
    switch type {
    case is String.Type: return "a text"
    case is Bool.Type: return "true or false"
    case is any BinaryInteger.Type: return "a whole number"
    case is any BinaryFloatingPoint.Type: return "a number"
    default: break
    }
    let name = "\(type)"
    return name.hasPrefix("Dictionary") ? "an object" : name.hasPrefix("Array") ? "a list" : "something else"
  }
}
