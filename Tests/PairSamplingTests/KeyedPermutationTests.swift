import PairSampling
import Testing

@Suite struct KeyedPermutationTests {
  @Test(arguments: Array(1...70) + [255, 256, 257, 1000, 4096, 4097])
  func `a keyed permutation meets every number once`(count: Int) {
    let permutation = KeyedPermutation(count: count, seed: 7, stream: UInt64(count))
    #expect(Set((0..<count).map { permutation[$0] }) == Set(0..<count))
  }

  @Test func `keyed permutations of other seeds are others, and spread evenly`() {
    let a = KeyedPermutation(count: 1000, seed: 1, stream: 0)
    let b = KeyedPermutation(count: 1000, seed: 2, stream: 0)
    let c = KeyedPermutation(count: 1000, seed: 1, stream: 1)
    let indexes = 0..<1000
    #expect(indexes.count { a[$0] == b[$0] } < 10)
    #expect(indexes.count { a[$0] == c[$0] } < 10)
    // Where an index goes is uniform over the keys: chi-squared of 16 cells, 15 degrees of freedom.
    var counts = [Double](repeating: 0, count: 16)
    for seed in 0..<4000 { counts[KeyedPermutation(count: 16, seed: UInt64(seed), stream: 5)[3]] += 1 }
    let deviations: [Double] = counts.map { ($0 - 250) * ($0 - 250) / 250 }
    #expect(deviations.reduce(0, +) < 45)
  }
}
