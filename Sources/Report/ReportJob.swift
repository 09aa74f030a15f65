import CBuild
public import Corpus
public import Datasets
import Evaluation
import Foundation
public import GenerativeModel
public import Platform
import ShardStore

/// What a report is made of, and how.
public struct ReportOptions: Sendable {
  public var sections: Set<ReportSection> = Set(ReportSection.allCases)
  /// Starts of each kind, and samples wherever some are drawn.
  public var samples = 16
  public var sampling = SamplingOptions(steps: 20)
  /// What landscape, walks and policies are prompted for at most; nil for each model's best prompt.
  public var target: Float?
  /// Along a side of the finest level of landscapes that have one for all of it, which are those of MNIST.
  public var cells = 256
  public var workers = Workers.available
  public var datasets = DatasetsDirectory()
  /// Where the corpus is; nil for where it was when a model was trained.
  public var corpus: String?
  /// The command that makes the report, for those who read it.
  public var command = "corpus report"

  public init() {}

  /// What sections depend on.
  fileprivate var fingerprint: [String] {
    [
      "\(productVersion) \(String(cString: cbuild_commit()))",
      "\(samples) \(sampling.sampler.rawValue) \(sampling.steps) \(sampling.seed)",
      "\(target.map { "\($0)" } ?? "best") \(cells)",
    ]
  }
}

/// Computes the sections of some models, one after the other, and keeps each as soon as it is there.
public struct ReportJob {
  private let models: [ReportedModel]
  private let options: ReportOptions

  /// How far it is.
  public struct Progress: Sendable {
    public let done: Int
    public let total: Int
    /// The section at work.
    public let section: ReportSection
    /// How much of it is done, from 0 to 1.
    public let share: Double
  }

  /// Opens the models.
  ///
  /// - Throws: what is wrong with the first one that cannot be opened.
  public init(_ models: [ModelDirectory], options: ReportOptions) throws(CorpusError) {
    self.options = options
    var opened: [ReportedModel] = []
    for model in models { opened.append(try ReportedModel(model, options)) }
    self.models = opened
  }

  /// Computes what is not kept from an earlier time.
  ///
  /// A section that cannot be computed is left out, with the error that says why.
  ///
  /// - Parameters:
  ///   - path: the directory where sections are kept, each under a name that holds all that it depends on.
  ///   - progress: called before each section, and now and then within, from any thread.
  /// - Throws: `interrupted`; `diskFull` or `readOnly` where nothing can be kept.
  public func run(
    keepingIn path: String, cancellation: Cancellation = Cancellation(),
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) throws(CorpusError) -> Report {
    let store = SectionStore(path)
    let sections = ReportSection.allCases.filter(options.sections.contains)
    var used: Set<String> = []
    var reports: [Report.Model] = []
    for (number, model) in models.enumerated() {
      let dependencies = try model.fingerprint() + options.fingerprint
      var contents: [ReportSection: SectionContents] = [:]
      for (place, section) in sections.enumerated() {
        try cancellation.check()
        let (done, total) = (number * sections.count + place, models.count * sections.count)
        let show: @Sendable (Int, Int) -> Void = {
          progress(
            Progress(
              done: done, total: total, section: section, share: Double($0) / Double(max(1, $1))))
        }
        show(0, 1)
        let name = try SectionStore.name(section, of: dependencies)
        used.insert(name)
        if let data = store.contents(name) {
          contents[section] = .data(data)
          continue
        }
        let data: Data
        do throws(CorpusError) {
          data = try compute(section, of: model, in: store.scratch(name), cancellation, show)
        } catch  where error.code != .interrupted {
          contents[section] = .leftOut(error)
          continue
        }
        // The command is no reason to compute anything again, and must not be an old one.
        if section != .made { try store.keep(data, as: name) }
        try store.removeScratch(name)
        contents[section] = .data(data)
      }
      reports.append(Report.Model(identity: identity(of: model), sections: contents))
    }
    try store.removeOthers(than: used)
    return Report(models: reports)
  }

  /// By the last part of the path where that tells it from the others.
  private func identity(of model: ReportedModel) -> Report.ModelIdentity {
    var identity = model.identity
    if models.count(where: { $0.identity.name == identity.name }) > 1 { identity.name = identity.path }
    return identity
  }

  private func compute(
    _ section: ReportSection, of model: ReportedModel, in scratch: String, _ cancellation: Cancellation,
    _ progress: @escaping @Sendable (Int, Int) -> Void
  ) throws(CorpusError) -> Data {
    switch section {
    case .prompts: try json(model.prompts(cancellation, progress))
    case .overTraining: try json(OverTraining(model.description))
    case .cartpole: try json(model.policies(cancellation, progress))
    case .landscape: try json(model.landscape(cancellation, progress))
    case .walks: try json(model.walks(cancellation, progress))
    case .corpus: try json(CorpusSection(model.description, model.corpus()))
    case .made:
      try json(
        MadeSection(
          model.description, path: model.directory.path, corpus: try? model.corpus(), command: options.command
        ))
    case .optimizers: try json(OptimizerSection(model, options, in: scratch, cancellation, progress))
    case .audit: try json(model.audit(cancellation, progress))
    }
  }

  private func json(_ section: some Encodable) throws(CorpusError) -> Data {
    try CanonicalJSON.data(section, pretty: false)
  }
}
