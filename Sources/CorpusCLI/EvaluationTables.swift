import Corpus
import Evaluation
import Foundation
import GenerativeModel
import MetricIndex
import Overview
import TerminalOutput

/// What `corpus evaluate` prints.
enum EvaluationTables {
  /// Prints an evaluation, and the one beside it for the published best prompt.
  ///
  /// - Parameter isBestOfTenth: whether its best prompt is what the best tenth of the corpus reaches.
  static func show(_ evaluation: ModelEvaluation, isBestOfTenth: Bool) {
    let isBoth = evaluation.published == nil
    show(
      evaluation.groups, evaluation.metric.name, evaluation.bestPrompt,
      isBestOfTenth
        ? ", which the best tenth of the corpus reaches" + (isBoth ? ", the published best prompt, too" : "")
        : "")
    guard let published = evaluation.published else { return }
    Console.print("")
    show(published.groups, evaluation.metric.name, published.bestPrompt, ", the published best prompt")
  }

  /// Prints the evaluations that a training has stored.
  static func show(_ training: OverTraining) {
    let prompts = Set(training.evaluations.map(\.bestPrompt)).sorted().map { "\($0)" }.joined(
      separator: " and ")
    Console.print(
      "Alignment over training, and the median of one step, for \(training.metric.name) up to \(prompts)")
    var names: [String] = []
    for group in training.evaluations.flatMap(\.groups) where !names.contains(group.starts) {
      names.append(group.starts)
    }
    var printer = RowPrinter(format: .table)
    printer.begin(columns: ["updates"] + names.flatMap { [$0, "one step"] } + [""])
    for evaluation in training.evaluations {
      let cells = names.flatMap { name -> [SQLValue] in
        guard let group = evaluation.groups.first(where: { $0.starts == name }) else {
          return [.null, .null]
        }
        return [number(group.alignment), number(Double(group.oneStep))]
      }
      let isKept = evaluation.step == training.kept
      printer.add([.integer(Int64(evaluation.step))] + cells + [.text(isKept ? "the model's weights" : "")])
    }
    printer.end()
  }

  private static func show(_ groups: [ModelEvaluation.Group], _ name: String, _ best: Float, _ what: String) {
    Console.print("One step from initial networks, prompted for \(name) \(best)\(what)")
    var printer = RowPrinter(format: .table)
    printer.begin(columns: [
      "starts", "networks", "start", "worst", "lower", "median", "upper", "best",
      "alignment to \(number(Double(best)).short)",
      "iterations",
    ])
    for group in groups {
      let step = group.oneStep
      let values = [mean(group.startMetrics), step.worst, step.lower, step.median, step.upper, step.best]
      printer.add(
        [.text(group.starts), .integer(Int64(group.startMetrics.count))]
          + values.map { number(Double($0)) }
          + [number(group.alignment), group.iterations.map(number) ?? .text("never")])
    }
    printer.end()
    Console.print("\nReached (mean) for what was prompted (mean)")
    printer = RowPrinter(format: .table)
    printer.begin(columns: groups.flatMap { ["prompted", $0.starts] })
    for prompt in groups.first?.prompted.first?.indices ?? 0..<0 {
      printer.add(
        groups.flatMap { group in
          [group.prompted, group.observed].map { values in
            number(Double(mean(values.map { $0[prompt] })))
          }
        })
    }
    printer.end()
    Console.print("\nFed back in, for \(best) (medians)")
    printer = RowPrinter(format: .table)
    printer.begin(columns: ["steps"] + groups.map(\.starts))
    for step in groups.first?.recursive.indices ?? 0..<0 {
      printer.add(
        [.integer(Int64(step + 1))] + groups.map { number(Double($0.recursive[step])) })
    }
    printer.end()
  }

  private static func mean(_ values: [Float]) -> Float { values.reduce(0, +) / Float(max(1, values.count)) }

  /// To four significant digits; in words where it is none.
  private static func number(_ value: Double) -> SQLValue {
    guard value.isFinite else { return .text("undefined") }
    guard value != 0 else { return .real(0) }
    let scale = pow(10, 3 - floor(log10(abs(value))))
    return .real((value * scale).rounded() / scale)
  }
}
