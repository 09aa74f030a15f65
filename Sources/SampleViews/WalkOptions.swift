/// How far and from where walks go.
public struct WalkOptions: Sendable {
  /// Starts, each of which has a walk of either kind.
  public var starts = 1
  /// Of each walk.
  public var frames = 48
  /// Independent drafts of noise that a walk through noise passes before it is back at the first.
  public var drafts = 4
  /// What a walk through noise is prompted for, and where a walk along the prompt ends; nil for the model's best prompt.
  public var prompt: Float?

  public init() {}
}
