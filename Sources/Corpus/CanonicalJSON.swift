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
        .invalidRecipe, "a value cannot be written as JSON: \(JSONProblem(error))",
        remedy: "use finite numbers")
    }
  }

  /// The value that a JSON text stands for.
  public static func decode<Value: Decodable>(
    _ type: Value.Type, from data: Data
  ) throws(JSONProblem) -> Value {
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch {
      let problem = JSONProblem(error)
      guard problem.isOfValue, let value = try? JSONDecoder().decode(JSONValue.self, from: data) else {
        throw problem
      }
      // Which number it is that does not fit, nobody says.
      if let misfit = value.misfit(for: type) {
        throw JSONProblem("`\(misfit.name)` cannot be \(misfit.value)")
      }
      throw problem.isOfText ? JSONProblem("one of its numbers cannot be what it is") : problem
    }
  }

  /// Any encodable value as a ``JSONValue``.
  public static func value(_ value: some Encodable) throws(CorpusError) -> JSONValue {
    let data = try data(value, pretty: false)
    do throws(JSONProblem) {
      return try decode(JSONValue.self, from: data)
    } catch {
      throw error.refusal
        ?? CorpusError(
          .invalidRecipe, "a value cannot be read back from JSON: \(error)", remedy: "report this as a bug")
    }
  }
}
