public import Corpus
public import Foundation

/// What `corpus report` has found out about models: the text of its JSON file, and the page.
public struct Report: Sendable {
  public static let format = "checkpoint-corpus report"
  public static let version = 1

  /// A model and its sections.
  public struct Model: Sendable {
    public let identity: ModelIdentity
    public let sections: [ReportSection: SectionContents]
  }

  /// What a model is called and what it is, at the head of its sections.
  public struct ModelIdentity: Encodable, Sendable {
    /// The last part of its path, or all of it where several models share that.
    public var name: String
    public let path: String
    public let task: String
    public let metric: Metric
    /// The lowest and the highest value that the corpus holds.
    public let metricRange: [Float]
    /// The updates after which it has its weights.
    public let step: Int

    enum CodingKeys: String, CodingKey {
      case name, path, task, metric, step
      case metricRange = "metric_range"
    }
  }

  public let models: [Model]

  /// The report as JSON on one line.
  ///
  /// Sections are kept as text, so that those of megabytes are neither decoded nor encoded again.
  public var json: Data {
    get throws(CorpusError) {
      var text = Data(
        "{\"format\":\"\(Self.format)\",\"version\":\(Self.version),\"program\":\"\(productVersion)\",\"models\":["
          .utf8)
      for (number, model) in models.enumerated() {
        if number > 0 { text += Data(",".utf8) }
        text += try CanonicalJSON.data(model.identity, pretty: false).dropLast()
        text += Data(",\"sections\":{".utf8)
        let sections = model.sections.sorted { $0.key.rawValue < $1.key.rawValue }
        for (number, section) in sections.enumerated() {
          text += Data("\(number > 0 ? "," : "")\"\(section.key.rawValue)\":".utf8)
          text += try section.value.json
        }
        text += Data("}}".utf8)
      }
      return text + Data("]}\n".utf8)
    }
  }

  /// The page: HTML that needs nothing else, neither files nor a network.
  ///
  /// - Parameter json: the report's.
  public static func page(_ json: Data) -> Data { ReportPage.html(json) }
}
