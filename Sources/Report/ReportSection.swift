public import Corpus
public import Foundation

/// A part of a report, which is computed, kept and left out by itself. Schemas/report.md describes their contents.
public enum ReportSection: String, CaseIterable, Sendable {
  case prompts
  case overTraining = "over_training"
  case optimizers, cartpole, landscape, walks, audit, corpus, made
}

/// What became of a section.
public enum SectionContents: Sendable {
  /// Its JSON, an object.
  case data(Data)
  /// Why it is not there, and what to do.
  case leftOut(CorpusError)

  /// As it stands in the report.
  var json: Data {
    get throws(CorpusError) {
      switch self {
      case .data(let data): data
      case .leftOut(let error):
        try CanonicalJSON.data(
          LeftOutSection(
            leftOut: error.message + (error.cause.map { " (\($0))" } ?? ""), remedy: error.remedy),
          pretty: false)
      }
    }
  }

  private struct LeftOutSection: Encodable {
    let leftOut: String
    let remedy: String

    enum CodingKeys: String, CodingKey {
      case remedy
      case leftOut = "left_out"
    }
  }
}
