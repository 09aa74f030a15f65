import Audit
import Corpus
import NetworkSymmetry
import Tasks
import Testing

@Suite struct MatchingTests {
  private static func random(_ count: Int, stream: UInt64) -> [Float] {
    var random = PhiloxGenerator(seed: 3, stream: stream)
    return (0..<count).map { _ in 2 * random.uniform() - 1 }
  }

  /// The parameters with the units of each layer in another order, by the slices alone.
  private static func permuted(_ network: [Float], _ architecture: Architecture, stream: UInt64) throws
    -> [Float]
  {
    let slices = try #require(UnitSlices(architecture))
    var random = PhiloxGenerator(seed: 4, stream: stream)
    var network = network
    for layer in slices.layers {
      var order = Array(layer.units.indices)
      for last in stride(from: order.count - 1, to: 0, by: -1) {
        order.swapAt(last, Int(random.integer(below: UInt32(last + 1))))
      }
      let before = network
      for (unit, source) in zip(layer.units, order.map { layer.units[$0] }) {
        for (position, from) in zip(unit, source) { network[Int(position)] = before[Int(from)] }
      }
    }
    return network
  }

  @Test func `the assignment is the best of all`() {
    func permutations(_ items: [Int]) -> [[Int]] {
      items.isEmpty
        ? [[]]
        : items.flatMap { item in permutations(items.filter { $0 != item }).map { [item] + $0 } }
    }
    for n in 1...6 {
      for stream in 0..<20 as Range<UInt64> {
        let costs = Self.random(n * n, stream: stream).map { Double($0) }
        func cost(_ columns: [Int]) -> Double {
          columns.enumerated().reduce(0) { $0 + costs[$1.offset * n + $1.element] }
        }
        let columns = Assignment.solve(costs, n)
        #expect(columns.sorted() == Array(0..<n))
        let least = permutations(Array(0..<n)).map(cost).min() ?? .infinity
        #expect(abs(cost(columns) - least) < 1e-12)
      }
    }
  }

  @Test(arguments: [Architecture.mnist, .cifar10, .cartpole])
  func `a copy in another order is found to be one`(architecture: Architecture) throws {
    let matcher = NetworkMatcher(architecture)
    for stream in 0..<5 as Range<UInt64> {
      let network = Self.random(architecture.parameterCount, stream: stream)
      let copy = try Self.permuted(network, architecture, stream: stream)
      #expect(copy != network)
      #expect(matcher.distance(copy, to: network) == 0)
      #expect(matcher.aligned(copy, to: network) == network)
      // Features do not depend on the order.
      let features = NetworkFeatures(architecture, matcher.slices)
      var (one, other) = (
        [Float](repeating: 0, count: features.count), [Float](repeating: 0, count: features.count)
      )
      features.write(network, to: &one)
      features.write(copy, to: &other)
      for (a, b) in zip(one, other) { #expect(abs(a - b) < 1e-3) }
    }
  }

  @Test(arguments: [Architecture.mnist, .cifar10])
  func `a copy whose units are scaled is found to be one`(architecture: Architecture) throws {
    let matcher = NetworkMatcher(architecture)
    let slices = try #require(matcher.slices)
    let network = Self.random(architecture.parameterCount, stream: 9)
    var copy = network
    for layer in slices.layers {
      for (number, unit) in layer.units.enumerated() {
        for (position, leadsIn) in zip(unit, layer.leadsIn) {
          let factor = 1 + Float(number)
          copy[Int(position)] *= leadsIn ? factor : 1 / factor
        }
      }
    }
    let distance = matcher.distance(matcher.balanced(copy), to: matcher.balanced(network))
    #expect(distance < 1e-2 && NetworkMatcher.distance(copy, network) > 10)
  }

  @Test func `each parameter belongs to the units that the shapes say`() throws {
    let slices = try #require(UnitSlices(.mnist))
    #expect(slices.layers.count == 1 && slices.layers[0].units.count == 10)
    // Its row, its bias, its column.
    #expect(slices.layers[0].units.allSatisfy { $0.count == 784 + 1 + 10 })
    #expect(slices.fixed == (7950..<7960).map { Int32($0) })
    #expect(slices.layers[0].units[3][0] == 3 * 784 && slices.layers[0].leadsIn.count { $0 } == 785)
    let cartpole = try #require(UnitSlices(.cartpole))
    #expect(cartpole.layers.map(\.units.count) == [32, 32])
    #expect(cartpole.layers[0].own.count == 5 && cartpole.layers[0].shared.map(\.count) == [32])
  }
}
