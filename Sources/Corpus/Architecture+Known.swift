extension Architecture {
  /// The policy of Cartpole: 4-32-32-1; the value function is not stored.
  public static let cartpole = Architecture(
    name: "gaussian-mlp-4-32-32-1",
    tensors: [
      .init("log_std", [1]),
      .init("actor.0.weight", [32, 4]), .init("actor.0.bias", [32]),
      .init("actor.2.weight", [32, 32]), .init("actor.2.bias", [32]),
      .init("actor.4.weight", [1, 32]), .init("actor.4.bias", [1]),
    ],
    permutations: PermutationGroups(
      groups: [.init("actor.0", 32), .init("actor.2", 32)],
      tensors: [
        "actor.0.weight": [["actor.0"], [4]], "actor.0.bias": [["actor.0"]],
        "actor.2.weight": [["actor.2"], ["actor.0"]], "actor.2.bias": [["actor.2"]],
        "actor.4.weight": [[1], ["actor.2"]],
      ]))

  /// The classifier of MNIST: 784-10-10.
  public static let mnist = Architecture(
    name: "mlp-784-10-10",
    tensors: [
      .init("fc1.weight", [10, 784]), .init("fc1.bias", [10]),
      .init("fc2.weight", [10, 10]), .init("fc2.bias", [10]),
    ],
    permutations: PermutationGroups(
      groups: [.init("fc1", 10)],
      tensors: [
        "fc1.weight": [["fc1"], [784]], "fc1.bias": [["fc1"]], "fc2.weight": [[10], ["fc1"]],
      ]))

  /// The classifier of CIFAR-10: convolutions of 16 and 32 channels, a mean over all pixels, a linear layer.
  public static let cifar10 = Architecture(
    name: "cnn-16-32-10",
    tensors: [
      .init("conv1.weight", [16, 3, 3, 3]), .init("conv2.weight", [32, 16, 3, 3]),
      .init("fc.weight", [10, 32]), .init("fc.bias", [10]),
    ],
    permutations: PermutationGroups(
      groups: [.init("conv1", 16), .init("conv2", 32)],
      tensors: [
        "conv1.weight": [["conv1"], [3], [3], [3]], "conv2.weight": [["conv2"], ["conv1"], [3], [3]],
        "fc.weight": [[10], ["conv2"]],
      ]))

  /// Those of the built-in tasks. Corpora of them from before permutation groups were declared have the same ones.
  private static let known = [cartpole, mnist, cifar10]

  /// The permutation groups of the built-in network of this name and these tensors, if it is one.
  static func knownPermutations(_ name: String, _ tensors: [Tensor]) -> PermutationGroups? {
    known.first { $0.name == name && $0.tensors == tensors }?.permutations
  }

  /// Whether it is a built-in network, with its own permutation groups.
  package var isKnown: Bool { Self.known.contains { $0 == self && $0.permutations == permutations } }
}
