public import Foundation

/// A corpus as a few hundred bytes of JSON: with the program that made it, the same runs again anywhere.
///
/// Schemas/corpus.md describes it.
public struct RecipeFile: Hashable, Sendable, Codable {
  public static let format = "checkpoint-corpus recipe"
  public static let version = 1

  public var format = Self.format
  public var version = Self.version
  public var task: String
  /// The version of the tasks whose recipe it is.
  public var generatorVersion: Int
  /// Everything that determines a run but its seed; for tasks on data, the SHA-256 of the data, too.
  public var recipe: JSONValue
  /// Which runs are held out; nil for the task's usual rule.
  public var split: SplitRule?
  /// How the shards are stored; nil for `delta`.
  public var codec: Codec?

  enum CodingKeys: String, CodingKey, CaseIterable {
    case format, version, task, recipe, split, codec
    case generatorVersion = "generator_version"
  }

  /// What another corpus of the same runs is made from.
  public init(of manifest: Manifest) {
    task = manifest.task
    generatorVersion = manifest.generatorVersion
    recipe = manifest.recipe
    split = manifest.split
    codec = manifest.codec
  }

  /// The most bytes that one may have.
  public static let byteLimit = 16 << 20

  /// Reads the text of a recipe file.
  ///
  /// - Parameter path: the file that the text is from, for errors.
  /// - Throws: `invalidRecipe` for anything but a recipe file, and for members that it does not have;
  ///   `unsupportedVersion`.
  public init(json data: Data, path: String) throws(CorpusError) {
    func invalid(_ message: String) -> CorpusError {
      CorpusError(
        .invalidRecipe, "\(path) \(message)", remedy: "write it anew with `corpus recipe DIR > \(path)`")
    }
    let value: JSONValue
    do throws(JSONProblem) {
      value = try CanonicalJSON.decode(JSONValue.self, from: data)
    } catch {
      throw invalid("is no recipe file: \(error)")
    }
    guard case .object(let members) = value else { throw invalid("is no recipe file: it is no JSON object") }
    guard members["format"] == .string(Self.format) else {
      throw invalid("is no recipe file: its format is \(members["format"]?.description ?? "not given")")
    }
    guard members["version"] == .number(Double(Self.version)) else {
      throw CorpusError(
        .unsupportedVersion,
        "\(path) has recipe format version \(members["version"]?.description ?? "?"), and this program reads "
          + "version \(Self.version)",
        remedy: "use the release of checkpoint-corpus that wrote it, or a newer one")
    }
    self = try value.decoded(as: Self.self) { (problem) throws(CorpusError) in
      throw invalid("cannot be used: \(problem)")
    }
  }
}
