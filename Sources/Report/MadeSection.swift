import CBuild
import Corpus
import GenerativeModel
import MetricIndex
import ShardStore

/// How a model and its corpus were made, and the commands that make them again.
struct MadeSection: Encodable, Sendable {
  struct Table: Encodable, Sendable {
    let name: String
    let values: [CorpusSection.Fact]
  }

  /// A file that the commands name.
  struct File: Encodable, Sendable {
    let name: String
    let text: String
  }

  let commands: [String]
  let files: [File]
  let facts: [CorpusSection.Fact]
  let tables: [Table]

  /// - Parameters:
  ///   - corpus: nil where it is not at hand.
  ///   - command: the one that makes the report.
  init(
    _ description: ModelDescription, path: String, corpus: CorpusDirectory?, command: String
  ) throws(CorpusError) {
    let configuration = GPTConfiguration(model: description.model, training: description.training)
    let commit = String(cString: cbuild_commit())
    var facts = [
      CorpusSection.Fact(
        name: "program",
        value: "checkpoint-corpus \(productVersion), "
          + (commit.isEmpty ? "commit not known" : "commit \(commit)")),
      CorpusSection.Fact(
        name: "model",
        value: "\(path), after \(CorpusSection.grouped(description.step)) updates"
          + (description.bestEvaluation.map {
            "; its weights are those of update \(CorpusSection.grouped($0.step)), which met prompts best"
          } ?? "")),
      CorpusSection.Fact(name: "seed of its training", value: "\(description.training.seed)"),
      CorpusSection.Fact(name: "fingerprint of its pairs", value: description.corpus.fingerprint),
    ]
    var files = [File(name: "model.json", text: try Self.text(configuration))]
    var commands: [String] = []
    if let corpus {
      let manifest = corpus.manifest
      let seeds = try Self.ranges(IndexReader(opening: corpus))
      facts.append(.init(name: "seeds of the runs", value: seeds.joined(separator: ", ")))
      facts.append(.init(name: "generator version", value: "\(manifest.generatorVersion)"))
      if manifest.generatorVersion > 0, manifest.recipe["imported_from"] == nil {
        files.insert(File(name: "recipe.json", text: try Self.text(RecipeFile(of: manifest))), at: 0)
        commands += seeds.map {
          "corpus generate --recipe recipe.json --runs '\($0)' --out \(description.corpus.path)"
        }
      } else {
        commands.append("# The runs were made elsewhere: the corpus itself is what this starts from.")
      }
    }
    let condition = description.corpus.condition.map { " --where \"\($0)\"" } ?? ""
    commands.append(
      "corpus train \(description.corpus.path) --config model.json --metric \(description.metric.name)\(condition) "
        + "--out \(path)")
    commands.append(command)
    (self.commands, self.files, self.facts) = (commands, files, facts)
    tables = [
      Self.table("The recipe of the runs", description.recipe),
      Self.table("The model", try CanonicalJSON.value(description.model)),
      Self.table("Its training", try CanonicalJSON.value(description.training)),
    ]
  }

  private static func text(_ value: some Encodable) throws(CorpusError) -> String {
    String(decoding: try CanonicalJSON.data(value, pretty: true), as: UTF8.self)
  }

  private static func table(_ name: String, _ value: JSONValue) -> Table {
    Table(
      name: name,
      values: value.leaves.sorted { $0.key < $1.key }.map {
        if case .string(let text) = $0.value { return .init(name: $0.key, value: text) }
        return .init(name: $0.key, value: $0.value.description)
      })
  }

  /// The seeds of all runs, as ranges of `corpus generate`.
  private static func ranges(_ index: IndexReader) throws(CorpusError) -> [String] {
    // Runs in a row are as far from their numbers in order.
    let rows = try index.rows(
      """
      SELECT min(run), max(run) FROM (SELECT run, run - row_number() OVER (ORDER BY run) AS island FROM runs)
      GROUP BY island ORDER BY 1
      """)
    return rows.compactMap { row in
      guard case .integer(let first) = row[0], case .integer(let last) = row[1] else { return nil }
      return "\(first)...\(last)"
    }
  }
}
