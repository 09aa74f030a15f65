import TestSupport
import NetworkSymmetry
import Corpus
import Testing

import PairSampling
import PairStream
import VectorKernels

/// Groups of every form move what they say, and nothing else.
@Suite(.temporaryDirectories) struct PermutationGroupTests {
  private static let tensors: [Architecture.Tensor] = [
    .init("chain.weight", [6, 4]), .init("chain.bias", [6]), .init("conv.weight", [5, 6, 3, 3]),
    .init("flat.weight", [3, 20]), .init("residual", [6, 6]), .init("qkv", [24, 6]), .init("qkv.bias", [24]),
    .init("heads.out", [6, 8]), .init("joined", [2, 13, 2]), .init("deep", [2, 5, 3, 6, 2]),
    .init("three", [5, 6, 2]), .init("scalar", []), .init("fixed", [2, 3]), .init("inner", [2, 3, 5]),
  ]

  private static let groups = PermutationGroups(
    groups: [.init("a", 6), .init("b", 5), .init("heads", 2), .init("depth", 4)],
    tensors: [
      "chain.weight": [["a"], [4]], "chain.bias": [["a"]], "conv.weight": [["b"], ["a"], [3], [3]],
      "flat.weight": [[3], ["b", 4]], "residual": [["a"], ["a"]], "qkv": [[3, "heads", "depth"], ["a"]],
      "qkv.bias": [[3, "heads", "depth"]], "heads.out": [["a"], ["heads", "depth"]],
      "joined": [[2], .init(segments: [["a"], [2], ["b"]]), [2]], "deep": [[2], ["b"], [3], ["a"], [2]],
      "three": [["b"], ["a"], ["heads"]], "inner": [[2], [3], ["b"]],
    ])

  private static let architecture = Architecture(name: "all", tensors: tensors, permutations: groups)

  /// The old index along an axis of what comes to each index.
  private static func oldIndexes(_ axis: PermutationGroups.Axis, _ orders: [String: [UInt32]]) -> [Int] {
    var indexes: [Int] = []
    var start = 0
    for segment in axis.segments {
      var index = [0]
      for factor in segment {
        switch factor {
        case .fixed(let count): index = index.flatMap { i in (0..<count).map { i * count + $0 } }
        case .moved(let name):
          let order = orders[name] ?? []
          index = index.flatMap { i in order.map { i * order.count + Int($0) } }
        }
      }
      indexes += index.map { start + $0 }
      start += index.count
    }
    return indexes
  }

  /// The slow twin: each element by its index along each axis.
  private static func permuted(_ network: [Float], _ order: UnitOrder) -> [Float] {
    let orders = Dictionary(
      uniqueKeysWithValues: groups.groups.enumerated().map { ($1.name, order[$0]) })
    var result: [Float] = []
    var start = 0
    for tensor in tensors {
      let declared = groups.tensors[tensor.name] ?? tensor.shape.map { [.fixed($0)] }
      let axes = declared.map { oldIndexes($0, orders) }
      var index = [0]
      for axis in axes { index = index.flatMap { i in axis.map { i * axis.count + $0 } } }
      result += index.map { network[start + $0] }
      start += tensor.count
    }
    return result
  }

  private static func network() -> [Float] {
    var random = PhiloxGenerator(seed: 4)
    return (0..<architecture.parameterCount).map { _ in random.uniform() - 0.5 }
  }

  private static func copy(_ network: [Float], _ order: UnitOrder, scale: Float = 1) -> [Float] {
    var result = [Float](repeating: .nan, count: network.count)
    UnitPermuter(HiddenLayers(architecture), parameterCount: network.count, scale: scale, kernels: .best)
      .copy(order, from: network, to: &result)
    return result
  }

  @Test func `any number of axes moves as the slow twin moves it`() throws {
    try Self.groups.validate(Self.tensors)
    let network = Self.network()
    let order = UnitOrder(HiddenLayers(Self.architecture), kernels: .best)
    #expect(Self.copy(network, order) == network)
    for stream in 0..<30 {
      order.shuffle(seed: 2, stream: UInt64(stream))
      let expected = Self.permuted(network, order)
      #expect(expected != network)
      #expect(Self.copy(network, order) == expected)
      #expect(Self.copy(network, order, scale: 2) == expected.map { 2 * $0 })
    }
  }

  @Test func `the canonical order of any groups is the same for all orders of one network`() {
    let network = Self.network()
    let order = UnitOrder(HiddenLayers(Self.architecture), kernels: .best)
    order.canonicalize(network)
    let canonical = Self.copy(network, order)
    #expect(canonical != network)
    for stream in 0..<30 {
      order.shuffle(seed: 8, stream: UInt64(stream))
      let other = Self.copy(network, order)
      order.canonicalize(other)
      #expect(Self.copy(other, order) == canonical)
    }
  }

  @Test(
    arguments: [
      (["fc": [["a"]]], "axis"), (["nothing": [["a"], [4]]], "nothing"),
      (["chain.weight": [["a"], [5]]], "axis 1 of chain.weight has the length 4"),
      (["chain.weight": [["b"], [4]]], "axis 0 of chain.weight has the length 6"),
      (["chain.weight": [["c"], [4]]], "moved by c"), (["chain.weight": [["a"]]], "1 axes of chain.weight"),
      (["chain.weight": [["a", 2], [4]]], "axis 0 of chain.weight has the length 6"),
      (["chain.weight": [["a", 0], [4]]], "axis 0 of chain.weight"),
      (["chain.weight": [["a", -1], [4]]], "axis 0 of chain.weight"),
      (["chain.weight": [["a"], [4_611_686_018_427_387_904, 4]]], "axis 1 of chain.weight"),
      (["chain.weight": [["a"], [4]]], "b moves nothing"),
    ] as [([String: [PermutationGroups.Axis]], String)])
  func `groups that contradict the shapes are refused`(
    axes: [String: [PermutationGroups.Axis]], message: String
  ) throws {
    let groups = PermutationGroups(groups: [.init("a", 6), .init("b", 5)], tensors: axes)
    #expect {
      try groups.validate(Self.tensors)
    } throws: {
      ($0 as? CorpusError)?.code == .invalidArgument && ("\($0)".contains(message) || message == "axis")
    }
    // Nor are they read.
    let text = try CanonicalJSON.string(
      Architecture(name: "bad", tensors: Self.tensors, permutations: groups))
    let problem = #expect(throws: JSONProblem.self) {
      try CanonicalJSON.decode(Architecture.self, from: .init(text.utf8))
    }
    #expect(problem?.refusal?.code == .invalidArgument)
  }

  @Test func `only chains have units for tokens`() {
    #expect(!HiddenLayers(Self.architecture).isChain)
    #expect(HiddenLayers(StreamFixture.architecture).isChain)
    for axes in [
      ["square": [["a"], ["a"]]], ["square": [[2, "a"], [12]]], ["square": [[12], [2, "a"]]],
    ] as [[String: [PermutationGroups.Axis]]] {
      let square = Architecture(
        name: "square", tensors: [.init("square", axes["square"]?[0] == ["a"] ? [6, 6] : [12, 12])],
        permutations: PermutationGroups(groups: [.init("a", 6)], tensors: axes))
      #expect(!HiddenLayers(square).isChain)
    }
  }

  @Test func `without a declaration, permuting is refused and left out by default`() throws {
    let fixture = try StreamFixture(permutations: nil)
    for augmentation in [PairStreamOptions.Augmentation.permute, .canonical] {
      #expect {
        try fixture.stream { $0.augmentation = augmentation }
      } throws: {
        ($0 as? CorpusError)?.code == .invalidArgument && "\($0)".contains("permutations")
      }
    }
    let automatic = try fixture.stream { $0.augmentation = .automatic }
    #expect(automatic.options.augmentation == .none)
    #expect(try automatic.restOfEpoch() == fixture.stream { $0.augmentation = .none }.restOfEpoch())
    let declared = try StreamFixture()
    #expect(try declared.stream { $0.augmentation = .automatic }.options.augmentation == .permute)
    #expect(
      try declared.stream { $0.augmentation = .automatic }.restOfEpoch()
        == declared.stream { $0.augmentation = .permute }.restOfEpoch())
  }
}
