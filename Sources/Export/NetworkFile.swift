import ArrayFiles
public import Corpus
public import GenerativeModel

/// Networks that a model has written, as a file of arrays; Schemas/interchange.md describes it.
public struct NetworkFile: Sendable {
  public var description: ModelDescription
  /// What they were measured by.
  public var metric: Metric
  /// (P) each.
  public var networks: [[Float]]
  /// (networks) each.
  public var startMetrics: [Float]
  public var prompted: [Float]
  public var reached: [Float]

  public init(
    description: ModelDescription, metric: Metric, networks: [[Float]], startMetrics: [Float],
    prompted: [Float], reached: [Float]
  ) {
    self.description = description
    self.metric = metric
    self.networks = networks
    self.startMetrics = startMetrics
    self.prompted = prompted
    self.reached = reached
  }

  /// Writes a safetensors file.
  ///
  /// - Throws: `alreadyExists` if the name is taken.
  public func write(to path: String) throws(CorpusError) {
    let destination = try ReservedPath(path)
    let layout = try ArrayLayout(
      columns: [
        ArrayColumn("parameters", .float32, rowShape: [description.architecture.parameterCount]),
        ArrayColumn("start_metric", .float32), ArrayColumn("prompted", .float32),
        ArrayColumn("reached", .float32),
      ], rows: networks.count,
      metadata: [
        "format": "checkpoint-corpus networks", "version": "1", "task": description.task,
        "architecture": try CanonicalJSON.string(description.architecture), "metric": metric.name,
      ])
    let table = try ArrayTable(.safetensors, layout, to: destination)
    for network in networks { try table.append(network, to: "parameters") }
    try table.append(startMetrics, to: "start_metric")
    try table.append(prompted, to: "prompted")
    try table.append(reached, to: "reached")
    try table.finish()
  }
}
