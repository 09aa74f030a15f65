import TestSupport
import CKernels
import NetworkSymmetry
import Tasks
import Corpus
import Datasets
import Foundation
import Testing

import PairSampling
import PairStream
import VectorKernels

/// Orders of hidden units leave the function of a network unchanged.
@Suite(.temporaryDirectories) struct HiddenUnitTests {
  private static func network(_ task: some Evaluator) throws -> [Float] {
    let run = try #require(try task.generate(seed: 1) { false })
    return Array(run.parameters.suffix(task.architecture.parameterCount))
  }

  private static func permuted(_ network: [Float], _ order: UnitOrder, _ hidden: HiddenLayers) -> [Float] {
    var result = [Float](repeating: .nan, count: network.count)
    UnitPermuter(hidden, parameterCount: network.count, scale: 1, kernels: .best)
      .copy(order, from: network, to: &result)
    return result
  }

  /// - Parameter widths: of the hidden layers that the architecture must turn out to have.
  private func expectSameFunction(_ task: some Evaluator, widths: [Int], tolerance: Float) throws {
    let hidden = HiddenLayers(task.architecture)
    #expect(hidden.widths == widths)
    let network = try Self.network(task)
    let order = UnitOrder(hidden, kernels: .best)
    let expected = task.evaluate(network: network, seed: 0)
    for stream in 0..<3 {
      order.shuffle(seed: 5, stream: UInt64(stream))
      #expect(widths.indices.allSatisfy { Set(order[$0]) == Set(0..<UInt32(widths[$0])) })
      let other = Self.permuted(network, order, hidden)
      #expect(other != network && other.sorted() == network.sorted())
      let outcome = task.evaluate(network: other, seed: 0)
      for (a, b) in zip(outcome, expected) { #expect(abs(a - b) <= tolerance * abs(b)) }
      // A permutation of the rows alone would be another function.
      var broken = other
      if let last = hidden.tensors.last(where: { $0.columnLayer != nil }) {
        let end = last.start + last.rows * last.columns * last.block
        broken.replaceSubrange(last.start..<end, with: network[last.start..<end])
      }
      #expect(task.evaluate(network: broken, seed: 0) != expected)
    }
  }

  @Test func `of an MNIST classifier`() throws {
    let images = try ImageDataset.syntheticDigits()
    var recipe = MNISTRecipe(dataset: images.identity)
    (recipe.epochs, recipe.checkpoints) = (1, 2)
    try expectSameFunction(MNISTTask(recipe, dataset: images), widths: [10], tolerance: 1e-5)
  }

  @Test func `of a CIFAR-10 classifier`() throws {
    let images = try ImageDataset.syntheticTextures()
    var recipe = CIFAR10Recipe(dataset: images.identity)
    (recipe.epochs, recipe.checkpoints) = (1, 2)
    try expectSameFunction(CIFAR10Task(recipe, dataset: images), widths: [16, 32], tolerance: 1e-5)
  }

  /// Episodes amplify rounding, but a policy that balances still does.
  @Test func `of a Cartpole policy`() throws {
    var recipe = CartpoleRecipe()
    (recipe.iterations, recipe.checkpoints) = (300, 2)
    try expectSameFunction(CartpoleTask(recipe), widths: [32, 32], tolerance: 0.2)
  }

  @Test func `an order is what its stream's numbers say, one after the other`() {
    let hidden = HiddenLayers(StreamFixture.architecture)
    let order = UnitOrder(hidden, kernels: .best)
    for stream in 0..<50 {
      var random = PhiloxGenerator(seed: 3, stream: UInt64(stream))
      order.shuffle(seed: 3, stream: UInt64(stream))
      for (layer, width) in hidden.widths.enumerated() {
        var units = (0..<UInt32(width)).map { $0 }
        for last in (1..<width).reversed() {
          units.swapAt(last, Int(random.integer(below: UInt32(last + 1))))
        }
        #expect(order[layer] == units)
      }
    }
  }

  /// Both long rows, which go past the caches, and what does not.
  @Test func `networks written past the caches are the same`() {
    let architecture = Architecture(
      name: "wide",
      tensors: [
        .init("fc1.weight", [6, 300]), .init("fc1.bias", [6]), .init("fc2.weight", [200, 6]),
        .init("fc2.bias", [200]),
      ])
    let network = (0..<architecture.parameterCount).map { Float($0) }
    let hidden = HiddenLayers.ofModel(architecture)
    let permuter = UnitPermuter(hidden, parameterCount: network.count, scale: 2, kernels: .best)
    let order = UnitOrder(hidden, kernels: .best)
    order.shuffle(seed: 1, stream: 0)
    for order in [nil, order] {
      var (usual, past) = (network, network)
      permuter.copy(order, from: network, to: &usual)
      permuter.copy(order, from: network, to: &past, isPastCaches: true)
      #expect(past == usual && past != network)
    }
  }

  @Test func `the canonical order is the same for all orders of one network`() throws {
    for architecture in [
      StreamFixture.architecture,
      Architecture(
        name: "conv",
        tensors: [
          .init("log_std", [1]), .init("conv1.weight", [4, 3, 3, 3]), .init("conv2.weight", [6, 4, 3, 3]),
          .init("conv2.bias", [6]), .init("fc.weight", [2, 24]), .init("fc.bias", [2]),
        ]),
    ] {
      let hidden = HiddenLayers.ofModel(architecture)
      var random = PhiloxGenerator(seed: 9)
      let network = (0..<architecture.parameterCount).map { _ in random.uniform() - 0.5 }
      let order = UnitOrder(hidden, kernels: .best)
      order.canonicalize(network)
      let canonical = Self.permuted(network, order, hidden)
      for stream in 0..<20 {
        order.shuffle(seed: 9, stream: UInt64(stream))
        let other = Self.permuted(network, order, hidden)
        order.canonicalize(other)
        #expect(Self.permuted(other, order, hidden) == canonical)
      }
      order.canonicalize(canonical)
      #expect(hidden.widths.indices.allSatisfy { order[$0] == Array(0..<UInt32(hidden.widths[$0])) })
    }
  }

  @Test func `orders and permuted networks have the same bits on every path`() throws {
    let hidden = HiddenLayers(.cifar10)
    var random = PhiloxGenerator(seed: 4)
    let network = (0..<Architecture.cifar10.parameterCount).map { _ in random.uniform() - 0.5 }
    let results = try Kernels.names.filter { ck_kernels_named($0) != nil }.map { name in
      let kernels = try Kernels(named: name)
      let order = UnitOrder(hidden, kernels: kernels)
      order.shuffle(seed: 6, stream: 1)
      var permuted = network
      UnitPermuter(hidden, parameterCount: network.count, scale: 0.3, kernels: kernels)
        .copy(order, from: network, to: &permuted)
      order.canonicalize(permuted)
      return hidden.widths.indices.map { order[$0] } + [permuted.map(\.bitPattern)]
    }
    #expect(Set(results).count == 1)
  }

  @Test func `old models' layers are read off the architecture`() {
    let flattened = HiddenLayers.ofModel(
      Architecture(
        name: "lenet",
        tensors: [
          .init("conv.weight", [6, 1, 5, 5]), .init("conv.bias", [6]), .init("fc.weight", [10, 96]),
          .init("norm", [10]), .init("scale", [3]),
        ]))
    #expect(flattened.widths == [6])
    #expect(flattened.tensors.map(\.block) == [25, 1, 16, 1, 1])
    #expect(flattened.tensors.map(\.rowLayer) == [0, 0, nil, nil, nil])
    #expect(
      HiddenLayers.ofModel(Architecture(name: "linear", tensors: [.init("weight", [2, 3])])).widths == [])
    let mismatched = [Architecture.Tensor("a", [5, 3]), .init("b", [2, 7])]
    #expect(HiddenLayers.ofModel(Architecture(name: "odd", tensors: mismatched)).widths == [])
    // They are the ones that built-in networks declare.
    for architecture in [Architecture.cartpole, .mnist, .cifar10] {
      let declared = HiddenLayers(architecture)
      let read = HiddenLayers.ofModel(
        Architecture(name: "of a model from before", tensors: architecture.tensors))
      #expect(declared.widths == read.widths && declared.isChain)
      for (a, b) in zip(declared.tensors, read.tensors) {
        #expect(a.rows == b.rows && a.columns == b.columns && a.block == b.block)
        #expect(a.rowLayer == b.rowLayer && a.columnLayer == b.columnLayer)
      }
    }
  }
}
