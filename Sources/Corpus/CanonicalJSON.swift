public import Foundation

/// JSON in one spelling: members sorted by name, so that equal values are equal bytes.
public enum CanonicalJSON {
  /// One line without spaces.
  public static func string(_ value: some Encodable) throws(CorpusError) -> String {
    String(decoding: try data(value, pretty: false), as: UTF8.self)
  }

  /// The bytes, over several indented lines and with a final newline if `pretty`.
  public static func data(_ value: some Encodable, pretty: Bool) throws(CorpusError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    do {
      return try encoder.encode(value) + (pretty ? Data("\n".utf8) : Data())
    } catch {
      throw CorpusError(
        .invalidRecipe, "a value cannot be written as JSON", remedy: "use finite numbers", cause: "\(error)")
    }
  }

  /// The value that a JSON text stands for.
  public static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
    try JSONDecoder().decode(type, from: data)
  }

  /// Any encodable value as a ``JSONValue``.
  public static func value(_ value: some Encodable) throws(CorpusError) -> JSONValue {
    let data = try data(value, pretty: false)
    do {
      return try decode(JSONValue.self, from: data)
    } catch let error as CorpusError {
      throw error
    } catch {
      throw CorpusError(
        .invalidRecipe, "a value cannot be read back from JSON", remedy: "report this as a bug",
        cause: "\(error)")
    }
  }
}
