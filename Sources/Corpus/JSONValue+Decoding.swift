import Foundation

extension JSONValue {
  /// This value as one of a Swift type that has a place for each of its members.
  ///
  /// Swift's decoders pass over members that a type does not have; a recipe with a misspelt member would be
  /// another recipe than it says.
  ///
  /// - Parameter refuse: throws the error for a problem such as "`epochs` is missing".
  package func decoded<Value: Codable>(
    as type: Value.Type, refusing refuse: (String) throws(CorpusError) -> Never
  ) throws(CorpusError) -> Value {
    let data = try CanonicalJSON.data(self, pretty: false)
    let value: Value
    do throws(JSONProblem) {
      value = try CanonicalJSON.decode(type, from: data)
    } catch {
      try refuse("\(error)")
    }
    let known = try CanonicalJSON.value(value)
    if let path = unknownMember(beside: known) { try refuse("`\(path)` is unknown") }
    guard known.withoutNulls == withoutNulls else { try refuse("some of its values cannot be kept exactly") }
    return value
  }

  /// The same without members that say nothing.
  private var withoutNulls: JSONValue {
    guard case .object(let members) = self else { return self }
    return .object(members.filter { $0.value != .null }.mapValues(\.withoutNulls))
  }

  /// The number but for which this value can be decoded.
  func misfit<Value: Decodable>(for type: Value.Type) -> (name: String, value: JSONValue)? {
    for (name, value) in leaves.sorted(by: { $0.key < $1.key }) {
      guard case .number = value else { continue }
      let mended = setting(name.split(separator: ".")[...], to: .number(0))
      let data = try? CanonicalJSON.data(mended, pretty: false)
      if data.flatMap({ try? JSONDecoder().decode(type, from: $0) }) != nil { return (name, value) }
    }
    return nil
  }

  private func setting(_ path: ArraySlice<Substring>, to value: JSONValue) -> JSONValue {
    guard let name = path.first.map(String.init), case .object(var members) = self else { return value }
    members[name] = members[name]?.setting(path.dropFirst(), to: value)
    return .object(members)
  }

  /// The first member, in order of names, that this value has and another one lacks: `physics.gravty`.
  private func unknownMember(beside known: JSONValue) -> String? {
    switch (self, known) {
    case (.object(let mine), .object(let others)):
      for (name, value) in mine.sorted(by: { $0.key < $1.key }) {
        guard let other = others[name] else {
          // An optional member that is null is not written.
          if value == .null { continue }
          return name
        }
        if let inner = value.unknownMember(beside: other) { return "\(name).\(inner)" }
      }
      return nil
    case (.array(let mine), .array(let others)) where mine.count == others.count:
      return zip(mine, others).enumerated().lazy.compactMap { index, pair in
        pair.0.unknownMember(beside: pair.1).map { "\(index).\($0)" }
      }.first
    default:
      return nil
    }
  }
}
