/// A number logged with every checkpoint.
public struct Metric: Hashable, Sendable, Codable {
  /// Which direction is an improvement.
  public enum Goal: String, Sendable, Codable {
    case minimize, maximize
  }

  /// The column's name in SQL, Python and the shard: a lower-case identifier.
  public let name: String
  public let goal: Goal

  public init(_ name: String, goal: Goal) {
    self.name = name
    self.goal = goal
  }

  public static let trainLoss = Metric("train_loss", goal: .minimize)
  /// In percent.
  public static let trainError = Metric("train_error", goal: .minimize)
  public static let testLoss = Metric("test_loss", goal: .minimize)
  /// In percent.
  public static let testError = Metric("test_error", goal: .minimize)
  /// The mean return of the last 200 finished episodes.
  public static let trainReturn = Metric("train_return", goal: .maximize)
  /// The mean return of fresh episodes of the checkpoint itself, with noise on the actions.
  public static let evalReturn = Metric("eval_return", goal: .maximize)
}
