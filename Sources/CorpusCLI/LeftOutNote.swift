import TerminalOutput
import ArgumentParser
import Corpus
import PairSampling

/// What commands say of what they leave out.
enum LeftOutNote {
  /// Tells what is not drawn from, and which flags take it.
  ///
  /// - Parameter isTraining: whether a model learns from it, which is no use for what is not finite.
  static func write(_ leftOut: LeftOut, _ metric: String, isTraining: Bool = false) {
    let parts = leftOut.reasons(metric).map { reason in
      switch reason.remedy {
      case .status(.nonfinite) where isTraining: reason.what
      case .status: "\(reason.what) (--include-bad takes them)"
      case .unmeasured: reason.what + (isTraining ? "" : " (--include-unmeasured takes them)")
      case .checkpoints: "\(reason.what), which makes no pair"
      }
    }
    if !parts.isEmpty { Console.note("left out: " + parts.joined(separator: ", ")) }
  }

  /// Of runs that were just stored, a part of a summary.
  static func bad(_ count: Int) -> [String] {
    guard count > 0 else { return [] }
    let (are, they) = count == 1 ? ("is", "it is") : ("are", "they are")
    return [
      "\(Format.count(count)) of them \(are) nonfinite or out of range: \(they) kept, and left out by commands without "
        + "--include-bad"
    ]
  }
}

/// What pairs are drawn from, besides fit runs and their measured checkpoints, as flags.
struct InclusionFlags: ParsableArguments {
  @Flag(help: "Take runs that are nonfinite or out of range, too.")
  var includeBad = false

  @Flag(help: "Take checkpoints without a finite value of the metric, too.")
  var includeUnmeasured = false

  func apply(to options: inout PairStreamOptions) {
    if includeBad { options.statuses = Set(RunStatus.allCases) }
    options.includesUnmeasured = includeUnmeasured
  }
}
